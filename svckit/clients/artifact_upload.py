"""One upload of an artifact with its attempts."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
from sliceandpack.artifact.v1 import artifacts_pb2 as pb
from sliceandpack.artifact.v1 import artifacts_pb2_grpc
from sliceandpack.error.v1 import error_reason_pb2

from svckit.artifacts.digests import artifact_name, digest_of
from svckit.artifacts.files import digest_of_file
from svckit.artifacts.threads import in_thread
from svckit.clients.patience import Patience, answer, is_hidden
from svckit.clients.transfer import OnProgress, TransferPolicy, step
from svckit.errors import ServiceError


class Source:
    """Bytes to upload, from memory or a file; a context manager that closes the file.

    Args:
        source: The bytes or the file's path.

    Attributes:
        size: How many bytes.
    """

    def __init__(self, source: Path | bytes) -> None:
        self._memory = source if isinstance(source, bytes) else b""
        self._file = None if isinstance(source, bytes) else os.open(source, os.O_RDONLY)
        self.size = len(self._memory) if self._file is None else os.fstat(self._file).st_size

    def __enter__(self) -> "Source":
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            os.close(self._file)

    def digest(self) -> str:
        """Returns ``sha256:<hex>``; blocks."""
        return digest_of(self._memory) if self._file is None else digest_of_file(self._file)

    def read(self, offset: int, count: int) -> bytes:
        """Returns at most `count` bytes from `offset`; blocks."""
        if self._file is None:
            return self._memory[offset : offset + count]
        data = os.pread(self._file, count, offset)
        if not data and offset < self.size:
            raise OSError("the file became shorter during its upload")
        return data


class Upload:
    """Sends an artifact, from where the server's part of it ends.

    gRPC's asyncio client hides a status that arrives while a message waits to be sent: whatever
    the server said, the call ends as INTERNAL. The bytes up to that point are then sent again in
    calls of one chunk, whose status nothing hides.

    Args:
        stub: The server.
        source: The bytes.
        on_progress: Gets the bytes handed over and the bytes in all.
        policy: How patient to be.
    """

    def __init__(
        self,
        stub: "artifacts_pb2_grpc.ArtifactsAsyncStub",
        source: Source,
        on_progress: OnProgress | None,
        policy: TransferPolicy,
    ) -> None:
        self._stub = stub
        self._source = source
        self._on_progress = on_progress
        self._policy = policy
        self._patience = Patience(policy)
        self._furthest = 0
        self._handed_over = 0
        self._hidden_until = -1
        self._mismatched = False

    async def complete(self) -> pb.Artifact:
        """Sends all that the server lacks; see `svckit.clients.artifacts.upload`."""
        name = artifact_name(await in_thread(self._source.digest))
        while True:
            try:
                committed = await self._committed(name)
                if committed > self._hidden_until:
                    return await self._stream(name, committed)
                artifact = await self._send_one(name, committed)
                if artifact is not None:
                    return artifact
            except ServiceError as error:
                await self._settle(error)

    async def _settle(self, error: ServiceError) -> None:
        """Prepares the next attempt after a failed one, or raises its error."""
        if error.reason == error_reason_pb2.ERROR_REASON_DIGEST_MISMATCH and not self._mismatched:
            # Someone else may have begun this artifact with other bytes: the server has dropped
            # them, and one attempt from the start decides.
            self._mismatched = True
            return
        if is_hidden(error):
            self._hidden_until = self._handed_over
        await self._patience.pause(error)

    async def _committed(self, name: str) -> int:
        request = pb.QueryWriteStatusRequest(name=name)
        call = self._stub.QueryWriteStatus(request, timeout=self._policy.idle_seconds)
        committed = (await answer(call)).committed_size
        if committed > self._furthest:
            self._furthest = committed
            self._patience.progressed()
        return committed

    async def _stream(self, name: str, offset: int) -> pb.Artifact:
        """Sends everything from `offset`; the server may answer before the end."""
        call = self._stub.Write()
        try:
            async for request in self._requests(name, offset):
                try:
                    await step(call.write(request), self._policy)
                except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                    break  # The call has ended; its answer says how.
                self._report(request)
            return (await step(answer(call), self._policy)).artifact
        finally:
            call.cancel()

    async def _send_one(self, name: str, offset: int) -> pb.Artifact | None:
        """Sends one chunk in a call of its own; returns the artifact if it was the last."""
        request = await self._chunk(offset)
        request.name = name
        try:
            call = self._stub.Write(iter([request]), timeout=self._policy.idle_seconds)
            return (await answer(call)).artifact
        except ServiceError as error:
            if error.reason != error_reason_pb2.ERROR_REASON_UPLOAD_INCOMPLETE:
                raise
            self._report(request)
            return None

    async def _requests(self, name: str, offset: int) -> AsyncIterator[pb.WriteRequest]:
        # The first message goes alone: a stored artifact is answered without its bytes.
        yield pb.WriteRequest(name=name, write_offset=offset)
        last = False
        while not last:
            request = await self._chunk(offset)
            offset += len(request.data)
            last = request.finish_write
            yield request

    async def _chunk(self, offset: int) -> pb.WriteRequest:
        data = await in_thread(self._source.read, offset, self._policy.chunk_bytes)
        last = offset + len(data) >= self._source.size
        return pb.WriteRequest(write_offset=offset, data=data, finish_write=last)

    def _report(self, request: pb.WriteRequest) -> None:
        self._handed_over = request.write_offset + len(request.data)
        if self._on_progress is not None:
            self._on_progress(self._handed_over, self._source.size)
