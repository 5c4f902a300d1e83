"""`google.longrunning.Operations`, as Google defines it."""

from datetime import timedelta
from typing import Any

import grpc
from google.longrunning import operations_pb2, operations_pb2_grpc
from google.protobuf import empty_pb2

from svckit.clock import wait_until_set
from svckit.operations.backing import Backing
from svckit.operations.changes import events_of
from svckit.operations.lists import list_operations
from svckit.operations.messages import to_id
from svckit.operations.store import OperationStore
from svckit.paging import PageTokens

# WaitOperation answers by then at the latest, done or not, in seconds: less than a server's
# default deadline of a call and its time to drain. Clients ask again.
_LONGEST_WAIT = 10.0
# What is left of a client's deadline for the answer to travel.
_TRAVEL = 0.2

Context = grpc.aio.ServicerContext[Any, Any]


class OperationsServicer(operations_pb2_grpc.OperationsServicer):  # type: ignore[misc]
    """Answers for the operations of a store.

    Args:
        store: The operations.
        backing: The same ground as the store's.
        tokens: Makes and opens the page tokens.
    """

    def __init__(self, store: OperationStore, backing: Backing, tokens: PageTokens) -> None:
        self._store = store
        self._backing = backing
        self._tokens = tokens

    async def GetOperation(
        self,
        request: operations_pb2.GetOperationRequest,
        context: Context,
    ) -> operations_pb2.Operation:
        """Returns an operation as it stands."""
        return await self._store.get(request.name)

    async def ListOperations(
        self,
        request: operations_pb2.ListOperationsRequest,
        context: Context,
    ) -> operations_pb2.ListOperationsResponse:
        """Returns a page of operations, newest first."""
        return await list_operations(self._backing.database, self._tokens, request)

    async def CancelOperation(
        self,
        request: operations_pb2.CancelOperationRequest,
        context: Context,
    ) -> empty_pb2.Empty:
        """Wants an operation to end; it then ends CANCELLED within five seconds."""
        await self._store.cancel(request.name)
        return empty_pb2.Empty()

    async def DeleteOperation(
        self,
        request: operations_pb2.DeleteOperationRequest,
        context: Context,
    ) -> empty_pb2.Empty:
        """Forgets an operation; one that runs is not cancelled."""
        await self._store.delete(request.name)
        return empty_pb2.Empty()

    async def WaitOperation(
        self, request: operations_pb2.WaitOperationRequest, context: Context
    ) -> operations_pb2.Operation:
        """Returns the operation once it is done, or as it stands after the timeout.

        The timeout is cut to 10 seconds and to the call's deadline.
        """
        seconds = _LONGEST_WAIT
        if request.HasField("timeout"):
            seconds = min(seconds, request.timeout.ToTimedelta().total_seconds())
        remaining = context.time_remaining()
        if remaining is not None:
            seconds = min(seconds, remaining - _TRAVEL)
        return await self._wait(request.name, seconds)

    async def _wait(self, name: str, seconds: float) -> operations_pb2.Operation:
        clock, poll = self._backing.clock, self._backing.settings.poll
        until = clock.now() + timedelta(seconds=seconds)
        with self._backing.changes.listen(events_of(to_id(name))) as changed:
            while True:
                changed.clear()
                operation = await self._store.get(name)
                left = (until - clock.now()).total_seconds()
                if operation.done or left <= 0:
                    return operation
                await wait_until_set(changed, clock, min(left, poll))
