import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import grpc
import pytest
import structlog
from google.rpc import status_pb2
from sliceandpack.artifact.v1 import artifacts_pb2, artifacts_pb2_grpc
from sliceandpack.error.v1 import error_reason_pb2 as pb
from structlog.processors import format_exc_info
from structlog.testing import capture_logs

from svckit.clients.patience import answer
from svckit.errors import DeadlineExceeded, InvalidArgument, NotFound, ServiceError, Unimplemented
from svckit.server import Service
from svckit.settings import ServerSettings
from svckit.status import from_rpc_error
from tests.helpers.loopback import Loopback, ScriptedArtifacts, loopback

Query = artifacts_pb2.QueryWriteStatusRequest
Reply = artifacts_pb2.QueryWriteStatusResponse
MISSING = NotFound(pb.ERROR_REASON_RESOURCE_NOT_FOUND, "No artifact.", advice="Upload it.")


def raising(error: Exception) -> Callable[[Any], Awaitable[Any]]:
    async def method(_request: object) -> None:
        raise error

    return method


async def failure(call: Awaitable[Any]) -> ServiceError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return from_rpc_error(caught.value)


def stub(server: Loopback) -> "artifacts_pb2_grpc.ArtifactsAsyncStub":
    return artifacts_pb2_grpc.ArtifactsStub(server.channel)


async def test_a_service_error_reaches_the_client_of_a_unary_call() -> None:
    async with loopback(ScriptedArtifacts(query=raising(MISSING)).service) as server:
        error = await failure(stub(server).QueryWriteStatus(Query(name="artifacts/a")))
    assert isinstance(error, NotFound)
    assert (error.reason, error.advice) == (pb.ERROR_REASON_RESOURCE_NOT_FOUND, "Upload it.")


async def test_a_service_error_reaches_the_client_of_a_download_after_what_came_before() -> None:
    async def read(_request: object) -> AsyncIterator[artifacts_pb2.ReadResponse]:
        yield artifacts_pb2.ReadResponse(data=b"first")
        raise MISSING

    async with loopback(ScriptedArtifacts(read=read).service) as server:
        call = stub(server).Read(artifacts_pb2.ReadRequest(name="artifacts/a"))
        assert await call.read() == artifacts_pb2.ReadResponse(data=b"first")
        error = await failure(call.read())
    assert error.reason == pb.ERROR_REASON_RESOURCE_NOT_FOUND


async def test_a_service_error_reaches_the_client_of_an_upload() -> None:
    async def write(requests: AsyncIterator[Any]) -> None:
        assert [request.data async for request in requests] == [b"a", b"b"]
        raise MISSING

    async with loopback(ScriptedArtifacts(write=write).service) as server:
        chunks = [artifacts_pb2.WriteRequest(data=data) for data in (b"a", b"b")]
        error = await failure(stub(server).Write(iter(chunks)))
    assert error.reason == pb.ERROR_REASON_RESOURCE_NOT_FOUND


@pytest.mark.parametrize("shape", ["unary_unary", "unary_stream", "stream_unary", "stream_stream"])
async def test_an_unknown_method_has_a_reason_whatever_its_shape(shape: str) -> None:
    async with loopback() as server:
        method = getattr(server.channel, shape)("/nobody.v1.Knows/This")
        call = method(iter([b""]) if shape.startswith("stream") else b"")
        error = await failure(call if shape.endswith("unary") else call.read())
    assert isinstance(error, Unimplemented)
    assert error.reason == pb.ERROR_REASON_METHOD_NOT_FOUND
    assert "/nobody.v1.Knows/This" in error.message


async def test_a_method_that_a_servicer_leaves_out_is_not_a_fault_of_the_service() -> None:
    service = Service(
        artifacts_pb2.DESCRIPTOR.services_by_name["Artifacts"],
        partial(
            artifacts_pb2_grpc.add_ArtifactsServicer_to_server,
            artifacts_pb2_grpc.ArtifactsServicer(),  # type: ignore[abstract]  # On purpose.
        ),
    )
    async with loopback(service) as server:
        unary = await failure(stub(server).QueryWriteStatus(Query(name="artifacts/a")))
        read = stub(server).Read(artifacts_pb2.ReadRequest(name="artifacts/a"))
        stream = await failure(read.read())
    assert isinstance(unary, Unimplemented)
    assert isinstance(stream, Unimplemented)


async def test_a_call_beyond_the_limit_of_calls_is_refused_and_the_others_go_on() -> None:
    begun, finish = asyncio.Event(), asyncio.Event()

    async def query(_request: Query) -> Reply:
        begun.set()
        await finish.wait()
        return Reply(committed_size=1)

    settings = ServerSettings(max_concurrent_rpcs=1, drain_seconds=1)
    async with loopback(ScriptedArtifacts(query=query).service, settings=settings) as server:
        first = asyncio.ensure_future(answer(stub(server).QueryWriteStatus(Query(name="a"))))
        await begun.wait()
        refused = await failure(stub(server).QueryWriteStatus(Query(name="b")))
        finish.set()
        assert (await first).committed_size == 1
    assert refused.code is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_an_unforeseen_exception_is_internal_and_its_cause_is_in_the_log_alone() -> None:
    service = ScriptedArtifacts(query=raising(RuntimeError("the cellar is flooded"))).service
    with capture_logs([structlog.contextvars.merge_contextvars, format_exc_info]) as lines:
        async with loopback(service) as server:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub(server).QueryWriteStatus(Query(name="artifacts/a"))
    error = from_rpc_error(caught.value)
    assert error.reason == pb.ERROR_REASON_INTERNAL
    assert "cellar" not in str(caught.value.trailing_metadata())
    assert "cellar" not in str(caught.value.details())
    (cause,) = (line for line in lines if "exception" in line)
    assert "the cellar is flooded" in cause["exception"]
    assert cause["call_id"] == error.metadata["call_id"]


async def test_a_clients_mistake_is_one_line_at_info_without_a_traceback() -> None:
    with capture_logs([structlog.contextvars.merge_contextvars]) as lines:
        async with loopback(ScriptedArtifacts(query=raising(MISSING)).service) as server:
            await failure(stub(server).QueryWriteStatus(Query(name="artifacts/a")))
    (line,) = (line for line in lines if "call_id" in line)
    assert line["log_level"] == "info"
    assert line["method"] == "/sliceandpack.artifact.v1.Artifacts/QueryWriteStatus"
    assert (line["code"], line["reason"]) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")
    assert line["seconds"] >= 0
    assert "exc_info" not in line


async def test_a_method_may_abort_by_itself() -> None:
    class Aborting(ScriptedArtifacts):
        async def QueryWriteStatus(self, _request: Any, context: Any) -> Any:  # noqa: N802
            await context.abort(grpc.StatusCode.DATA_LOSS, "gone")

    async with loopback(Aborting().service) as server:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub(server).QueryWriteStatus(Query(name="artifacts/a"))
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.DATA_LOSS, "gone")


async def test_a_cancelled_call_cancels_the_method() -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def query(_request: Query) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async with loopback(ScriptedArtifacts(query=query).service) as server:
        call = stub(server).QueryWriteStatus(Query(name="artifacts/a"))
        waiting = asyncio.ensure_future(call.code())
        await started.wait()
        call.cancel()
        assert await waiting is grpc.StatusCode.CANCELLED
        await asyncio.wait_for(cancelled.wait(), 5)


async def test_a_call_without_a_deadline_gets_one() -> None:
    async def query(_request: Query) -> None:
        await asyncio.Event().wait()

    settings = ServerSettings(default_deadline_seconds=0.05, drain_seconds=1)
    async with loopback(ScriptedArtifacts(query=query).service, settings=settings) as server:
        error = await failure(stub(server).QueryWriteStatus(Query(name="artifacts/a")))
    assert isinstance(error, DeadlineExceeded)
    assert error.reason == pb.ERROR_REASON_DEADLINE_EXCEEDED
    assert "0.05 seconds" in error.message


async def test_a_deadline_beyond_the_longest_is_cut_to_it() -> None:
    async def query(_request: Query) -> None:
        await asyncio.Event().wait()

    settings = ServerSettings(max_deadline_seconds=0.05, drain_seconds=1)
    async with loopback(ScriptedArtifacts(query=query).service, settings=settings) as server:
        call = stub(server).QueryWriteStatus(Query(name="artifacts/a"), timeout=3600)
        error = await failure(call)
    assert error.reason == pb.ERROR_REASON_DEADLINE_EXCEEDED
    assert error.metadata == {}
    assert "0.05 seconds" in error.message


async def test_a_timeout_inside_of_a_method_is_not_taken_for_its_deadline() -> None:
    async with loopback(ScriptedArtifacts(query=raising(TimeoutError())).service) as server:
        error = await failure(stub(server).QueryWriteStatus(Query(name="artifacts/a")))
    assert error.reason == pb.ERROR_REASON_INTERNAL


async def test_a_stream_may_last_longer_than_a_unary_call() -> None:
    async def read(_request: object) -> AsyncIterator[artifacts_pb2.ReadResponse]:
        await asyncio.sleep(0.1)
        yield artifacts_pb2.ReadResponse(data=b"late")

    settings = ServerSettings(default_deadline_seconds=0.01, drain_seconds=1)
    async with loopback(ScriptedArtifacts(read=read).service, settings=settings) as server:
        call = stub(server).Read(artifacts_pb2.ReadRequest(name="artifacts/a"))
        assert [chunk.data async for chunk in call] == [b"late"]


async def test_a_request_without_a_required_field_never_reaches_the_service() -> None:
    async def query(_request: Query) -> None:
        raise AssertionError("it was called")

    async with loopback(ScriptedArtifacts(query=query).service) as server:
        error = await failure(stub(server).QueryWriteStatus(Query()))
    assert isinstance(error, InvalidArgument)
    assert error.reason == pb.ERROR_REASON_FIELD_REQUIRED
    assert [violation.field for violation in error.violations] == ["name"]


async def test_the_status_in_the_trailers_is_one_that_stock_clients_read() -> None:
    from grpc_status import rpc_status

    async with loopback(ScriptedArtifacts(query=raising(MISSING)).service) as server:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub(server).QueryWriteStatus(Query(name="artifacts/a"))
    status = rpc_status.from_call(AsSynchronous(caught.value))
    assert isinstance(status, status_pb2.Status)
    assert status.message == "No artifact."


class AsSynchronous:
    """An asynchronous call's outcome as grpc_status reads it."""

    def __init__(self, error: grpc.aio.AioRpcError) -> None:
        self.code = error.code
        self.details = error.details
        self.trailing_metadata = error.trailing_metadata
