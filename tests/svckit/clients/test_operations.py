import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import grpc
import pytest
from google.longrunning import operations_pb2, operations_pb2_grpc
from google.protobuf import empty_pb2
from sliceandpack.artifact.v1 import artifacts_pb2
from sliceandpack.error.v1 import error_reason_pb2 as pb
from sliceandpack.operation.v1 import operation_events_pb2, operation_events_pb2_grpc

from svckit.clients.channel import channel
from svckit.clients.operations import Operations, WaitPolicy
from svckit.clients.settings import ClientSettings
from svckit.errors import (
    Cancelled,
    DeadlineExceeded,
    InvalidArgument,
    NotFound,
    ServiceError,
    Unavailable,
)
from svckit.lifecycle import Lifecycle
from svckit.server import Service
from svckit.settings import ServerSettings
from svckit.status import to_status
from tests.helpers.loopback import composed, loopback

NAME = "operations/o1"
QUICK = WaitPolicy(
    attempts=20, first_pause_seconds=0.01, longest_pause_seconds=0.1, poll_seconds=0.01
)
DONE = artifacts_pb2.Artifact(name="artifacts/a", size_bytes=3)
Event = operation_events_pb2.OperationEvent


@dataclass
class Ledger:
    """An operation that outlives the servers that tell of it."""

    events: list[Event] = field(default_factory=list)
    outcome: ServiceError | None = None
    done: bool = False
    watched_after: list[int] = field(default_factory=list)
    breaks: list[Callable[[], Any]] = field(default_factory=list)
    looks_until_done: int = 0

    def operation(self) -> operations_pb2.Operation:
        self.looks_until_done -= 1
        operation = operations_pb2.Operation(
            name=NAME, done=self.done or self.looks_until_done == 0
        )
        if operation.done and self.outcome is not None:
            operation.error.CopyFrom(to_status(self.outcome))
        elif operation.done:
            operation.response.Pack(DONE)
        return operation


class LedgerOperations(operations_pb2_grpc.OperationsServicer):  # type: ignore[misc]
    """`google.longrunning.Operations` over the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def GetOperation(self, request: Any, _context: Any) -> Any:  # noqa: N802
        if request.name != NAME:
            raise NotFound(pb.ERROR_REASON_RESOURCE_NOT_FOUND, "No.", advice="List them.")
        return self._ledger.operation()

    async def CancelOperation(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        self._ledger.done = True
        self._ledger.outcome = Cancelled(pb.ERROR_REASON_CANCELLED, "Cancelled.", advice="Again?")
        return empty_pb2.Empty()


class LedgerEvents(operation_events_pb2_grpc.OperationEventsServicer):
    """`OperationEvents` over the ledger, which breaks off once for each of its breaks."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def WatchOperation(  # noqa: N802
        self, request: Any, _context: Any
    ) -> AsyncIterator[Event]:
        self._ledger.watched_after.append(request.after_sequence)
        for event in list(self._ledger.events):
            if event.sequence > request.after_sequence:
                yield event
                if self._ledger.breaks:
                    await self._ledger.breaks.pop(0)()


def services(ledger: Ledger, *, events: bool = True) -> Sequence[Service]:
    operations = Service(
        operations_pb2.DESCRIPTOR.services_by_name["Operations"],
        partial(operations_pb2_grpc.add_OperationsServicer_to_server, LedgerOperations(ledger)),
    )
    watch = Service(
        operation_events_pb2.DESCRIPTOR.services_by_name["OperationEvents"],
        partial(
            operation_events_pb2_grpc.add_OperationEventsServicer_to_server, LedgerEvents(ledger)
        ),
    )
    return [operations, watch] if events else [operations]


@contextlib.asynccontextmanager
async def client(
    ledger: Ledger, policy: WaitPolicy = QUICK, *, events: bool = True
) -> AsyncIterator[Operations]:
    async with loopback(*services(ledger, events=events)) as server:
        opened = channel(ClientSettings(address=server.address, attempts=2))
        async with opened:
            yield Operations(opened, policy)


def numbered(count: int) -> list[Event]:
    return [Event(name=NAME, sequence=number) for number in range(1, count + 1)]


async def fail_away() -> None:
    raise Unavailable(pb.ERROR_REASON_SHUTTING_DOWN, "Stopping.", advice="Come again.")


async def test_the_response_comes_after_all_events_in_order() -> None:
    ledger = Ledger(events=numbered(3), done=True)
    seen: list[int] = []
    async with client(ledger) as operations:
        response = await operations.result(
            NAME, artifacts_pb2.Artifact, lambda event: seen.append(event.sequence)
        )
    assert response == DONE
    assert seen == [1, 2, 3]


async def test_a_broken_watch_goes_on_after_the_last_event_and_repeats_none() -> None:
    ledger = Ledger(events=numbered(4), done=True, breaks=[fail_away, fail_away])
    seen: list[int] = []
    async with client(ledger) as operations:
        await operations.wait(NAME, lambda event: seen.append(event.sequence))
    assert seen == [1, 2, 3, 4]
    assert sorted(set(ledger.watched_after)) == [0, 1, 2]


async def test_a_watch_that_ends_before_its_operation_is_taken_up_again() -> None:
    ledger = Ledger(events=numbered(1), looks_until_done=3)
    async with client(ledger) as operations:
        operation = await operations.wait(NAME)
    assert operation.done
    assert ledger.watched_after == [0, 1, 1]


async def test_a_watch_survives_a_restart_of_its_server() -> None:
    ledger = Ledger(events=numbered(2))
    settings = ServerSettings(drain_seconds=0)
    servers = [Lifecycle(settings, composed(*services(ledger)))]
    await servers[0].start()
    address = str(servers[0].address)
    seen: list[int] = []

    async def restart() -> None:
        ledger.events = numbered(5)
        ledger.done = True
        again = settings.model_copy(update={"address": address})
        servers.append(Lifecycle(again, composed(*services(ledger))))
        # The old server is asked by one of its own calls: it must not wait for that call.
        stopping.append(asyncio.create_task(replace()))
        await asyncio.Event().wait()

    async def replace() -> None:
        await servers[0].shutdown()
        await servers[1].start()

    stopping: list[asyncio.Task[None]] = []
    ledger.breaks = [restart]
    async with channel(ClientSettings(address=address, attempts=2)) as opened:
        operations = Operations(opened, QUICK)
        operation = await operations.wait(NAME, lambda event: seen.append(event.sequence))
    await asyncio.gather(*stopping)
    await servers[1].shutdown()
    assert operation.done
    assert seen == [1, 2, 3, 4, 5]


async def test_an_operation_that_cannot_be_watched_is_looked_at() -> None:
    ledger = Ledger(looks_until_done=3)
    async with client(ledger, events=False) as operations:
        response = await operations.result(NAME, artifacts_pb2.Artifact)
    assert response == DONE


async def test_the_error_of_a_failed_operation_is_raised_with_its_reason() -> None:
    outcome = InvalidArgument(pb.ERROR_REASON_GRAPH_CYCLE, "A cycle.", advice="Export it again.")
    async with client(Ledger(done=True, outcome=outcome)) as operations:
        with pytest.raises(InvalidArgument) as caught:
            await operations.result(NAME, artifacts_pb2.Artifact)
    assert caught.value.reason == pb.ERROR_REASON_GRAPH_CYCLE
    assert caught.value.advice == "Export it again."


async def test_a_cancelled_operation_ends_as_cancelled() -> None:
    async with client(Ledger()) as operations:
        await operations.cancel(NAME)
        with pytest.raises(Cancelled):
            await operations.result(NAME, artifacts_pb2.Artifact)


async def test_a_response_of_another_kind_is_a_mistake_of_the_caller() -> None:
    async with client(Ledger(done=True)) as operations:
        with pytest.raises(TypeError, match="not OperationEvent"):
            await operations.result(NAME, Event)


async def test_an_unknown_operation_is_not_waited_for() -> None:
    async with client(Ledger()) as operations:
        with pytest.raises(NotFound):
            await operations.wait("operations/nobody")


async def test_waiting_ends_when_its_time_is_up() -> None:
    policy = WaitPolicy(
        attempts=1_000, first_pause_seconds=0.01, longest_pause_seconds=0.01, timeout_seconds=0.1
    )
    async with client(Ledger(), policy) as operations:
        with pytest.raises(DeadlineExceeded) as caught:
            await operations.wait(NAME)
    assert caught.value.metadata == {"operation": NAME}


async def test_waiting_ends_when_the_server_stays_away() -> None:
    async with loopback() as server:
        gone = server.address
    policy = WaitPolicy(attempts=3, first_pause_seconds=0.01, longest_pause_seconds=0.01)
    async with channel(ClientSettings(address=gone, attempts=2)) as opened:
        with pytest.raises(Unavailable) as caught:
            await Operations(opened, policy).wait(NAME)
    assert caught.value.code is grpc.StatusCode.UNAVAILABLE
