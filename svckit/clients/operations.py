"""Waits for long-running operations; goes on after lost connections and restarted servers."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import grpc
from google.longrunning import operations_pb2, operations_pb2_grpc
from google.protobuf.message import Message
from sliceandpack.error.v1 import error_reason_pb2 as pb
from sliceandpack.operation.v1 import operation_events_pb2, operation_events_pb2_grpc

from svckit.clients.patience import Patience, PatiencePolicy, answer
from svckit.errors import DeadlineExceeded, ServiceError, Unavailable, Unimplemented
from svckit.status import from_rpc_error, from_status

M = TypeVar("M", bound=Message)

OnEvent = Callable[[operation_events_pb2.OperationEvent], None]
"""Gets each event of an operation once, in order."""


@dataclass(frozen=True)
class WaitPolicy(PatiencePolicy):
    """How long an operation is waited for, and how long its server may be away.

    Attributes:
        attempts: How many connections without any news there may be; with these pauses about a
            minute.
        longest_pause_seconds: The longest pause between connections.
        timeout_seconds: How long is waited in all.
        poll_seconds: The time between two looks at an operation that cannot be watched.
    """

    attempts: int = 30
    longest_pause_seconds: float = 3.0
    timeout_seconds: float = 3_600.0
    poll_seconds: float = 1.0


_POLICY: Final = WaitPolicy()


class Operations:
    """The long-running operations of one service.

    Args:
        channel: A channel to the service.
        policy: How patient to be.
    """

    def __init__(self, channel: grpc.aio.Channel, policy: WaitPolicy = _POLICY) -> None:
        self._operations = operations_pb2_grpc.OperationsStub(channel)
        self._events = operation_events_pb2_grpc.OperationEventsStub(channel)
        self._policy = policy

    async def get(self, name: str) -> operations_pb2.Operation:
        """Returns an operation as it stands.

        Raises:
            ServiceError: The call failed.
        """
        request = operations_pb2.GetOperationRequest(name=name)
        operation: operations_pb2.Operation = await answer(self._operations.GetOperation(request))
        return operation

    async def cancel(self, name: str) -> None:
        """Asks the service to cancel an operation; what is finished of it is kept.

        Raises:
            ServiceError: The call failed.
        """
        request = operations_pb2.CancelOperationRequest(name=name)
        await answer(self._operations.CancelOperation(request))

    async def wait(
        self, name: str, on_event: OnEvent | None = None, *, after_sequence: int = 0
    ) -> operations_pb2.Operation:
        """Waits until an operation is done, whether it succeeded or not.

        Args:
            name: The operation.
            on_event: Gets its events; none where the service has no OperationEvents.
            after_sequence: Only events with a greater number are reported.

        Raises:
            DeadlineExceeded: It was not done in time; it goes on in the service.
            ServiceError: The service refused, or was away for too long.
        """
        scope = asyncio.timeout(self._policy.timeout_seconds)
        try:
            async with scope:
                return await self._watch(name, on_event or _ignore, after_sequence)
        except TimeoutError as error:
            if not scope.expired():
                raise
            raise DeadlineExceeded(
                pb.ERROR_REASON_DEADLINE_EXCEEDED,
                f"{name} was not done within {self._policy.timeout_seconds:g} seconds.",
                advice="It goes on: watch it again, or cancel it.",
                metadata={"operation": name},
            ) from error

    async def result(self, name: str, kind: type[M], on_event: OnEvent | None = None) -> M:
        """Waits until an operation is done and returns its response.

        Args:
            name: The operation.
            kind: The class of the response.
            on_event: Gets its events.

        Raises:
            ServiceError: The operation failed or was cancelled, or waiting for it failed.
        """
        return response_of(await self.wait(name, on_event), kind)

    async def _watch(
        self, name: str, on_event: OnEvent, after_sequence: int
    ) -> operations_pb2.Operation:
        """Watches from the last event on, again and again until the operation is done."""
        patience = Patience(self._policy)
        while True:
            request = operation_events_pb2.WatchOperationRequest(
                name=name, after_sequence=after_sequence
            )
            try:
                async for event in self._events.WatchOperation(request):
                    after_sequence = event.sequence
                    patience.progressed()
                    on_event(event)
                operation = await self.get(name)
                if operation.done:
                    return operation
                failure: ServiceError = _ended_early(name)
            except grpc.aio.AioRpcError as error:
                failure = from_rpc_error(error)
            except ServiceError as error:
                failure = error
            if isinstance(failure, Unimplemented):
                return await self._poll(name)
            await patience.pause(failure)

    async def _poll(self, name: str) -> operations_pb2.Operation:
        """Looks at an operation until it is done."""
        patience = Patience(self._policy)
        while True:
            try:
                operation = await self.get(name)
            except ServiceError as error:
                await patience.pause(error)
                continue
            if operation.done:
                return operation
            patience.progressed()
            await asyncio.sleep(self._policy.poll_seconds * random.uniform(0.5, 1.0))  # noqa: S311


def response_of(operation: operations_pb2.Operation, kind: type[M]) -> M:
    """Returns the response of an operation that is done.

    Args:
        operation: The operation.
        kind: The class of the response.

    Raises:
        ServiceError: The operation failed or was cancelled.
        TypeError: Its response is of another class.
    """
    if operation.HasField("error"):
        raise from_status(operation.error)
    response = kind()
    if not operation.response.Unpack(response):
        raise TypeError(f"{operation.name} gave {operation.response.type_url}, not {kind.__name__}")
    return response


def _ignore(_event: operation_events_pb2.OperationEvent) -> None:
    """Does nothing: the caller wants no events."""


def _ended_early(name: str) -> Unavailable:
    """Returns the error of a watch that ended before its operation did."""
    return Unavailable(
        pb.ERROR_REASON_SHUTTING_DOWN,
        f"The watch of {name} ended before the operation did.",
        advice="Watch it again.",
        metadata={"operation": name},
    )
