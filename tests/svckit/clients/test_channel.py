import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import pytest
from sliceandpack.artifact.v1 import artifacts_pb2, artifacts_pb2_grpc
from sliceandpack.error.v1 import error_reason_pb2 as pb
from sliceandpack.slicer.v1 import models_pb2

from svckit.clients.channel import channel, with_request_id
from svckit.clients.patience import answer
from svckit.clients.settings import ClientSettings
from svckit.errors import DeadlineExceeded, FailedPrecondition, ServiceError, Unavailable
from tests.helpers.loopback import ScriptedArtifacts, loopback

Query = artifacts_pb2.QueryWriteStatusRequest
Reply = artifacts_pb2.QueryWriteStatusResponse
QUERY = Query(name="artifacts/a")


def failing(times: int, error: ServiceError) -> tuple[list[int], Callable[[Any], Awaitable[Any]]]:
    """Returns a counter and a method that fails so often before it answers."""
    calls: list[int] = []

    async def method(_request: object) -> Reply:
        calls.append(len(calls))
        if len(calls) <= times:
            raise error
        return Reply(committed_size=7)

    return calls, method


@contextlib.asynccontextmanager
async def artifacts(
    query: Callable[[Any], Awaitable[Any]], attempts: int = 5
) -> AsyncIterator["artifacts_pb2_grpc.ArtifactsAsyncStub"]:
    """Serves a method and opens a channel to it."""
    async with loopback(ScriptedArtifacts(query=query).service) as server:
        opened = channel(ClientSettings(address=server.address, attempts=attempts))
        async with opened:
            yield artifacts_pb2_grpc.ArtifactsStub(opened)


AWAY = Unavailable(pb.ERROR_REASON_SHUTTING_DOWN, "Stopping.", advice="Come again.")
IN_USE = FailedPrecondition(pb.ERROR_REASON_MODEL_IN_USE, "In use.", advice="Delete the pack.")


async def test_a_call_is_sent_again_while_the_server_is_unavailable() -> None:
    calls, method = failing(2, AWAY)
    async with artifacts(method) as stub:
        assert (await answer(stub.QueryWriteStatus(QUERY))).committed_size == 7
    assert len(calls) == 3


async def test_a_call_is_given_up_after_as_many_attempts_as_the_settings_say() -> None:
    calls, method = failing(99, AWAY)
    async with artifacts(method, attempts=2) as stub:
        with pytest.raises(Unavailable) as caught:
            await answer(stub.QueryWriteStatus(QUERY))
    assert caught.value.reason == pb.ERROR_REASON_SHUTTING_DOWN
    assert len(calls) == 2


async def test_a_call_that_is_refused_is_not_sent_again() -> None:
    calls, method = failing(99, IN_USE)
    async with artifacts(method) as stub:
        with pytest.raises(FailedPrecondition):
            await answer(stub.QueryWriteStatus(QUERY))
    assert len(calls) == 1


async def test_a_call_without_a_deadline_gets_that_of_the_settings() -> None:
    class Asking(ScriptedArtifacts):
        async def QueryWriteStatus(self, _request: Any, context: Any) -> Any:  # noqa: N802
            return Reply(committed_size=round(context.time_remaining()))

    async with loopback(Asking().service) as server:
        settings = ClientSettings(address=server.address, deadline_seconds=100)
        async with channel(settings) as opened:
            stub = artifacts_pb2_grpc.ArtifactsStub(opened)
            by_settings = (await stub.QueryWriteStatus(QUERY)).committed_size
            by_caller = (await stub.QueryWriteStatus(QUERY, timeout=200)).committed_size
    # gRPC rounds long timeouts up.
    assert 90 <= by_settings <= 110
    assert 190 <= by_caller <= 210


async def test_a_server_that_is_not_there_is_unavailable_with_advice() -> None:
    async with loopback() as server:
        gone = server.address
    async with channel(ClientSettings(address=gone, attempts=2)) as opened:
        stub = artifacts_pb2_grpc.ArtifactsStub(opened)
        with pytest.raises((Unavailable, DeadlineExceeded)) as caught:
            await answer(stub.QueryWriteStatus(QUERY, timeout=5))
    assert isinstance(caught.value, Unavailable)
    assert "server runs" in caught.value.advice


async def test_a_message_beyond_the_limit_is_refused() -> None:
    async with loopback(ScriptedArtifacts().service) as server:
        settings = ClientSettings(address=server.address, max_message_bytes=2**24)
        async with channel(settings) as opened:
            stub = artifacts_pb2_grpc.ArtifactsStub(opened)
            with pytest.raises(ServiceError) as caught:
                await answer(stub.QueryWriteStatus(Query(name="a" * (5 * 2**20))))
    assert caught.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_mutation_gets_a_request_id_so_that_it_can_be_sent_twice() -> None:
    request = models_pb2.DeleteModelRequest(name="models/m")
    first, second = with_request_id(request), with_request_id(request)
    assert isinstance(first, models_pb2.DeleteModelRequest)
    assert isinstance(second, models_pb2.DeleteModelRequest)
    assert first.request_id
    assert first.request_id != second.request_id
    assert request.request_id == ""
    assert with_request_id(first) is first
    assert with_request_id(QUERY) is QUERY
