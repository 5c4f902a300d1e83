"""The Artifacts service over a real loopback connection, message by message."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable

import grpc
import pytest
from sliceandpack.artifact.v1 import artifacts_pb2 as pb
from sliceandpack.artifact.v1 import artifacts_pb2_grpc

from svckit.artifacts.digests import artifact_name, digest_of
from svckit.artifacts.store import CHUNK_BYTES
from svckit.errors import ServiceError
from svckit.status import from_rpc_error
from tests.helpers.artifact_server import LIMIT_BYTES, ArtifactServer

CONTENT = os.urandom(5 * CHUNK_BYTES // 2)
DIGEST = digest_of(CONTENT)
NAME = artifact_name(DIGEST)


@pytest.fixture
def stub(served: ArtifactServer) -> "artifacts_pb2_grpc.ArtifactsAsyncStub":
    return artifacts_pb2_grpc.ArtifactsStub(served.channel)


def messages(content: bytes, name: str, start: int = 0) -> list[pb.WriteRequest]:
    offsets = range(start, len(content), CHUNK_BYTES)
    requests = [
        pb.WriteRequest(write_offset=offset, data=content[offset : offset + CHUNK_BYTES])
        for offset in offsets
    ]
    requests[0].name = name
    requests[-1].finish_write = True
    return requests


async def failure(call: Awaitable[object]) -> ServiceError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return from_rpc_error(caught.value)


async def drained(call: grpc.aio.UnaryStreamCall[pb.ReadRequest, pb.ReadResponse]) -> bytes:
    return b"".join([response.data async for response in call])


async def test_an_upload_comes_back_as_a_download(
    stub: "artifacts_pb2_grpc.ArtifactsAsyncStub",
) -> None:
    response = await stub.Write(iter(messages(CONTENT, NAME)))
    assert response.artifact == pb.Artifact(name=NAME, size_bytes=len(CONTENT))
    chunks = [chunk.data async for chunk in stub.Read(pb.ReadRequest(name=NAME))]
    assert b"".join(chunks) == CONTENT
    assert max(map(len, chunks)) <= CHUNK_BYTES
    part = stub.Read(pb.ReadRequest(name=NAME, read_offset=7, read_limit=11))
    assert b"".join([chunk.data async for chunk in part]) == CONTENT[7:18]


async def test_a_stored_artifact_is_answered_before_its_bytes_are_sent(
    stub: "artifacts_pb2_grpc.ArtifactsAsyncStub", served: ArtifactServer
) -> None:
    await served.store.put(CONTENT)

    async def only_the_name() -> AsyncIterator[pb.WriteRequest]:
        yield pb.WriteRequest(name=NAME)
        await asyncio.Event().wait()

    response = await stub.Write(only_the_name())
    assert response.artifact.size_bytes == len(CONTENT)


async def test_an_upload_without_its_end_is_kept_and_resumed(
    stub: "artifacts_pb2_grpc.ArtifactsAsyncStub",
) -> None:
    error = await failure(stub.Write(iter(messages(CONTENT, NAME)[:2])))
    assert (error.code, error.reason_name) == (grpc.StatusCode.ABORTED, "UPLOAD_INCOMPLETE")
    state = await stub.QueryWriteStatus(pb.QueryWriteStatusRequest(name=NAME))
    assert (state.committed_size, state.complete) == (2 * CHUNK_BYTES, False)
    assert error.metadata == {"committed_size": str(2 * CHUNK_BYTES)}
    await stub.Write(iter(messages(CONTENT, NAME, start=state.committed_size)))
    state = await stub.QueryWriteStatus(pb.QueryWriteStatusRequest(name=NAME))
    assert (state.committed_size, state.complete) == (len(CONTENT), True)


async def test_a_cancelled_upload_keeps_what_came_and_nothing_else(
    stub: "artifacts_pb2_grpc.ArtifactsAsyncStub", served: ArtifactServer
) -> None:
    call = stub.Write()
    await call.write(messages(CONTENT, NAME)[0])
    for _ in range(500):
        if (await served.store.write_state(DIGEST)).committed_size == CHUNK_BYTES:
            break
        await asyncio.sleep(0.01)
    call.cancel()
    state = await stub.QueryWriteStatus(pb.QueryWriteStatusRequest(name=NAME))
    assert (state.committed_size, state.complete) == (CHUNK_BYTES, False)
    files = {path.name for path in served.root.rglob("*") if path.is_file()}
    assert files - {".lock"} == {DIGEST.removeprefix("sha256:")}


async def test_a_chunk_that_does_not_follow_is_refused_with_the_place_to_go_on(
    stub: "artifacts_pb2_grpc.ArtifactsAsyncStub",
) -> None:
    first, second, _ = messages(CONTENT, NAME)
    gap = pb.WriteRequest(write_offset=CHUNK_BYTES + 1, data=b"x")
    error = await failure(stub.Write(iter([first, gap])))
    assert (error.code, error.reason_name) == (
        grpc.StatusCode.OUT_OF_RANGE,
        "WRITE_OFFSET_INVALID",
    )
    assert error.metadata == {"committed_size": str(CHUNK_BYTES)}
    again = await failure(stub.Write(iter([first, second])))
    assert again.metadata == {"committed_size": str(CHUNK_BYTES)}


async def test_bytes_with_another_digest_are_dropped(
    stub: "artifacts_pb2_grpc.ArtifactsAsyncStub",
) -> None:
    error = await failure(stub.Write(iter(messages(b"other bytes", NAME))))
    assert (error.code, error.reason_name) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "DIGEST_MISMATCH",
    )
    assert error.metadata["actual"] == digest_of(b"other bytes")
    state = await stub.QueryWriteStatus(pb.QueryWriteStatusRequest(name=NAME))
    assert (state.committed_size, state.complete) == (0, False)


@pytest.mark.parametrize(
    ("requests", "field"),
    [
        ([], "name"),
        ([pb.WriteRequest(data=b"x")], "name"),
        ([pb.WriteRequest(name="artifacts/sha256:../../x")], "name"),
        ([pb.WriteRequest(name=NAME), pb.WriteRequest(name=artifact_name(digest_of(b"")))], "name"),
        ([pb.WriteRequest(name=NAME, data=bytes(CHUNK_BYTES + 1))], "data"),
    ],
)
async def test_a_malformed_upload_is_refused_by_field(
    stub: "artifacts_pb2_grpc.ArtifactsAsyncStub", requests: list[pb.WriteRequest], field: str
) -> None:
    error = await failure(stub.Write(iter(requests)))
    assert (error.code, error.reason_name) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    assert [violation.field for violation in error.violations] == [field]
    assert error.advice


async def test_too_large_an_artifact_is_refused_and_dropped(
    stub: "artifacts_pb2_grpc.ArtifactsAsyncStub",
) -> None:
    content = bytes(LIMIT_BYTES + 1)
    name = artifact_name(digest_of(content))
    error = await failure(stub.Write(iter(messages(content, name))))
    assert error.reason_name == "ARTIFACT_TOO_LARGE"
    assert error.metadata == {"limit_bytes": str(LIMIT_BYTES)}
    state = await stub.QueryWriteStatus(pb.QueryWriteStatusRequest(name=name))
    assert state.committed_size == 0


async def test_an_upload_that_sends_nothing_is_ended(
    stub: "artifacts_pb2_grpc.ArtifactsAsyncStub",
) -> None:
    async def stalls() -> AsyncIterator[pb.WriteRequest]:
        yield messages(CONTENT, NAME)[0]
        await asyncio.Event().wait()

    error = await failure(stub.Write(stalls()))
    assert error.code == grpc.StatusCode.DEADLINE_EXCEEDED
    state = await stub.QueryWriteStatus(pb.QueryWriteStatusRequest(name=NAME))
    assert state.committed_size == CHUNK_BYTES


@pytest.mark.parametrize(
    ("request_", "code", "reason"),
    [
        (pb.ReadRequest(name=NAME, read_offset=-1), "INVALID_ARGUMENT", "FIELD_INVALID"),
        (pb.ReadRequest(name=NAME, read_limit=-1), "INVALID_ARGUMENT", "FIELD_INVALID"),
        (pb.ReadRequest(name="artifacts/x"), "INVALID_ARGUMENT", "FIELD_INVALID"),
        (pb.ReadRequest(), "INVALID_ARGUMENT", "FIELD_REQUIRED"),
        (pb.ReadRequest(name=NAME, read_offset=2**40), "OUT_OF_RANGE", "READ_OUT_OF_RANGE"),
        (
            pb.ReadRequest(name=artifact_name(digest_of(b"unknown"))),
            "NOT_FOUND",
            "RESOURCE_NOT_FOUND",
        ),
    ],
)
async def test_a_read_that_cannot_be_is_refused(
    stub: "artifacts_pb2_grpc.ArtifactsAsyncStub",
    served: ArtifactServer,
    request_: pb.ReadRequest,
    code: str,
    reason: str,
) -> None:
    await served.store.put(CONTENT)
    error = await failure(drained(stub.Read(request_)))
    assert (error.code.name, error.reason_name) == (code, reason)


async def test_a_damaged_artifact_ends_its_read_with_data_loss(
    stub: "artifacts_pb2_grpc.ArtifactsAsyncStub", served: ArtifactServer
) -> None:
    path = await served.store.path((await served.store.put(CONTENT)).digest)
    path.write_bytes(b"rot")
    error = await failure(drained(stub.Read(pb.ReadRequest(name=NAME))))
    assert (error.code, error.reason_name) == (grpc.StatusCode.DATA_LOSS, "DIGEST_MISMATCH")
