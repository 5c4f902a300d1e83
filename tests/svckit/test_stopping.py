import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import grpc
import pytest
from sliceandpack.artifact.v1 import artifacts_pb2, artifacts_pb2_grpc
from sliceandpack.error.v1 import error_reason_pb2 as pb
from sliceandpack.operation.v1 import operation_events_pb2, operation_events_pb2_grpc

from svckit.lifecycle import Lifecycle, Runtime
from svckit.server import Service
from svckit.settings import ServerSettings
from svckit.status import from_rpc_error
from tests.helpers.loopback import ScriptedArtifacts, loopback

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


async def test_what_a_call_does_at_its_end_is_done_before_the_resources_close() -> None:
    begun, order = asyncio.Event(), list[str]()

    async def write_down(_: Any) -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.3)
            order.append("written")

    async def compose(_: ServerSettings, runtime: Runtime) -> list[Service]:
        runtime.resources.callback(order.append, "closed")
        return [ScriptedArtifacts(query=write_down).service]

    lifecycle = Lifecycle(ServerSettings(drain_seconds=5), compose)
    await lifecycle.start()
    async with grpc.aio.insecure_channel(str(lifecycle.address)) as channel:
        stub = artifacts_pb2_grpc.ArtifactsStub(channel)
        call = stub.QueryWriteStatus(artifacts_pb2.QueryWriteStatusRequest(name="artifacts/a"))
        await begun.wait()
        # gRPC's server forgets a call whose client is gone.
        call.cancel()
        await asyncio.sleep(0.1)
        await lifecycle.shutdown()

    assert order == ["written", "closed"]
