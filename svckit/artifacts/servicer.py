"""The gRPC service ``sliceandpack.artifact.v1.Artifacts``."""

# gRPC names the methods and passes a context that none of them needs.

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import grpc
from sliceandpack.artifact.v1 import artifacts_pb2 as pb
from sliceandpack.artifact.v1 import artifacts_pb2_grpc
from sliceandpack.error.v1 import error_reason_pb2

from svckit.artifacts.digests import Artifact, digest_from_name
from svckit.artifacts.failures import upload_incomplete, write_offset_invalid
from svckit.artifacts.store import CHUNK_BYTES, ArtifactStore
from svckit.errors import DeadlineExceeded, FieldViolation, InvalidArgument


class ArtifactsServicer(artifacts_pb2_grpc.ArtifactsServicer):
    """Answers from an `ArtifactStore`; an upload that breaks off can be resumed.

    Args:
        store: Where the artifacts are.
        idle_seconds: How long an upload may wait for its next chunk.
    """

    def __init__(self, store: ArtifactStore, *, idle_seconds: float = 60.0) -> None:
        self._store = store
        self._idle_seconds = idle_seconds

    async def Write(
        self,
        request_iterator: AsyncIterator[pb.WriteRequest],
        context: grpc.ServicerContext,
    ) -> pb.WriteResponse:
        """Writes one artifact in chunks."""
        return pb.WriteResponse(artifact=to_proto(await self._receive(request_iterator)))

    async def QueryWriteStatus(
        self,
        request: pb.QueryWriteStatusRequest,
        context: grpc.ServicerContext,
    ) -> pb.QueryWriteStatusResponse:
        """Tells how much of an upload has been received."""
        state = await self._store.write_state(digest_from_name(request.name))
        return pb.QueryWriteStatusResponse(
            committed_size=state.committed_size, complete=state.complete
        )

    async def Read(
        self,
        request: pb.ReadRequest,
        context: grpc.ServicerContext,
    ) -> AsyncIterator[pb.ReadResponse]:
        """Reads an artifact, or a part of it, in chunks."""
        digest = digest_from_name(request.name)
        _check_range(request)
        chunks = self._store.read(digest, request.read_offset, request.read_limit)
        async with aclosing(chunks):
            async for chunk in chunks:
                yield pb.ReadResponse(data=chunk)

    async def _receive(self, requests: AsyncIterator[pb.WriteRequest]) -> Artifact:
        request = await self._next(requests)
        digest = digest_from_name("" if request is None else request.name)
        if await self._store.touch(digest):
            return await self._store.stat(digest)
        committed = (await self._store.write_state(digest)).committed_size
        offset = committed
        while request is not None:
            _check_chunk(request, digest)
            if request.write_offset != offset:
                raise write_offset_invalid(committed)
            state = await self._store.append(digest, offset, request.data)
            if state.complete:
                return await self._store.stat(digest)
            if request.finish_write:
                return await self._store.finish(digest)
            committed = state.committed_size
            offset += len(request.data)
            request = await self._next(requests)
        raise upload_incomplete(committed)

    async def _next(self, requests: AsyncIterator[pb.WriteRequest]) -> pb.WriteRequest | None:
        """Returns the next message, or None at the end of the stream."""
        try:
            async with asyncio.timeout(self._idle_seconds):
                return await anext(requests, None)
        except TimeoutError as error:
            raise DeadlineExceeded(
                error_reason_pb2.ERROR_REASON_DEADLINE_EXCEEDED,
                f"The upload sent nothing for {self._idle_seconds:g} seconds.",
                advice="Ask QueryWriteStatus for the committed size and go on from there.",
            ) from error


def to_proto(artifact: Artifact) -> pb.Artifact:
    """Returns the message of an artifact."""
    return pb.Artifact(name=artifact.name, size_bytes=artifact.size_bytes)


def _check_chunk(request: pb.WriteRequest, digest: str) -> None:
    """Refuses a message that names another artifact or carries too large a chunk."""
    violations = []
    if request.name and digest_from_name(request.name) != digest:
        violations.append(FieldViolation("name", "is not the name in the first message"))
    if len(request.data) > CHUNK_BYTES:
        violations.append(FieldViolation("data", f"has more than {CHUNK_BYTES} bytes"))
    _refuse(violations, "Send one artifact a stream, in chunks of at most 1 MiB.")


def _check_range(request: pb.ReadRequest) -> None:
    """Refuses negative offsets and limits."""
    fields = {"read_offset": request.read_offset, "read_limit": request.read_limit}
    violations = [
        FieldViolation(field, "is negative") for field, value in fields.items() if value < 0
    ]
    _refuse(violations, "Give an offset and a limit of 0 or more; a limit of 0 reads to the end.")


def _refuse(violations: list[FieldViolation], advice: str) -> None:
    if violations:
        raise InvalidArgument(
            error_reason_pb2.ERROR_REASON_FIELD_INVALID,
            "Fields of the request break a rule.",
            advice=advice,
            metadata={"field": violations[0].field},
            violations=violations,
        )
