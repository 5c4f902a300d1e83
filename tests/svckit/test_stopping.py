import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import grpc
import pytest
from sliceandpack.error.v1 import error_reason_pb2 as pb
from sliceandpack.operation.v1 import operation_events_pb2, operation_events_pb2_grpc

from svckit.server import Service
from svckit.settings import ServerSettings
from svckit.status import from_rpc_error
from tests.helpers.loopback import loopback

Event = operation_events_pb2.OperationEvent
WATCH = operation_events_pb2.WatchOperationRequest(name="operations/o1")


class EndlessEvents(operation_events_pb2_grpc.OperationEventsServicer):
    """Sends two events and then waits for ever."""

    async def WatchOperation(  # noqa: N802
        self, _request: Any, _context: Any
    ) -> AsyncIterator[Event]:
        yield Event(sequence=1)
        yield Event(sequence=2)
        await asyncio.Event().wait()


SERVICE = Service(
    operation_events_pb2.DESCRIPTOR.services_by_name["OperationEvents"],
    partial(
        operation_events_pb2_grpc.add_OperationEventsServicer_to_server,
        EndlessEvents(),
    ),
)


async def test_a_watch_ends_at_once_when_the_server_stops_and_says_so() -> None:
    # A drain of an hour would outlast the test's own limit if the watch were waited for.
    async with loopback(SERVICE, settings=ServerSettings(drain_seconds=3600)) as server:
        stub = operation_events_pb2_grpc.OperationEventsStub(server.channel)
        call = stub.WatchOperation(WATCH)
        assert [(await call.read()), (await call.read())] == [Event(sequence=1), Event(sequence=2)]
        shutdown = asyncio.create_task(server.lifecycle.shutdown())
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
        await shutdown
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert from_rpc_error(caught.value).reason == pb.ERROR_REASON_SHUTTING_DOWN
