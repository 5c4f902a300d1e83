"""One download of an artifact with its attempts."""

import os
from contextlib import suppress
from pathlib import Path

import grpc
from sliceandpack.artifact.v1 import artifacts_pb2 as pb
from sliceandpack.artifact.v1 import artifacts_pb2_grpc
from sliceandpack.error.v1 import error_reason_pb2

from svckit.artifacts.digests import digest_from_name
from svckit.artifacts.failures import not_found
from svckit.artifacts.files import digest_of_file, keep, write_all
from svckit.artifacts.threads import in_thread
from svckit.clients.patience import Patience, answer
from svckit.clients.transfer import OnProgress, TransferPolicy, step
from svckit.errors import DataLoss, ServiceError
from svckit.status import from_rpc_error


class Download:
    """Receives an artifact beside its target and renames it once it is whole.

    Args:
        stub: The server.
        name: The artifact.
        path: The target.
        on_progress: Gets the bytes written and the bytes in all.
        policy: How patient to be.
    """

    def __init__(
        self,
        stub: "artifacts_pb2_grpc.ArtifactsAsyncStub",
        name: str,
        path: Path,
        on_progress: OnProgress | None,
        policy: TransferPolicy,
    ) -> None:
        self._stub = stub
        self._name = name
        self._digest = digest_from_name(name)
        self._path = path
        hexadecimal = self._digest.partition(":")[2]
        self._part = path.with_name(f"{path.name}.{hexadecimal}.part")
        self._on_progress = on_progress
        self._policy = policy

    async def complete(self) -> None:
        """Receives all; see `svckit.clients.artifacts.download`."""
        patience = Patience(self._policy)
        garbled = False
        while True:
            before = self._have()
            try:
                actual = await self._receive(await self._size())
                if actual == self._digest:
                    return
                # What was kept of an earlier download may have been bad: once more, from 0.
                if garbled:
                    raise _garbled(self._digest, actual)
                garbled = True
            except DataLoss:
                self._part.unlink(missing_ok=True)
                raise
            except ServiceError as error:
                if self._have() > before:
                    patience.progressed()
                await patience.pause(error)

    async def _size(self) -> int:
        request = pb.QueryWriteStatusRequest(name=self._name)
        call = self._stub.QueryWriteStatus(request, timeout=self._policy.idle_seconds)
        state = await answer(call)
        if not state.complete:
            raise not_found(self._digest)
        return state.committed_size

    async def _receive(self, size: int) -> str:
        """Receives the rest and keeps it if it is the artifact; returns its digest."""
        descriptor = os.open(self._part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            await self._extend(descriptor, size)
            actual = await in_thread(digest_of_file, descriptor)
            if actual == self._digest:
                await in_thread(keep, descriptor, self._part, self._path)
            else:
                self._part.unlink()
            return actual
        finally:
            os.close(descriptor)

    async def _extend(self, descriptor: int, size: int) -> None:
        offset = os.fstat(descriptor).st_size
        if offset >= size:
            return
        call = self._stub.Read(pb.ReadRequest(name=self._name, read_offset=offset))
        try:
            while isinstance(response := await step(call.read(), self._policy), pb.ReadResponse):
                await in_thread(write_all, descriptor, response.data, offset)
                offset += len(response.data)
                if self._on_progress is not None:
                    self._on_progress(offset, size)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from error
        finally:
            call.cancel()

    def _have(self) -> int:
        with suppress(FileNotFoundError):
            return self._part.stat().st_size
        return 0


def _garbled(expected: str, actual: str) -> DataLoss:
    """Returns the error for received bytes that are not the artifact."""
    return DataLoss(
        error_reason_pb2.ERROR_REASON_DIGEST_MISMATCH,
        "The bytes received are not the artifact; they were dropped.",
        advice="Download the artifact again.",
        metadata={"expected": expected, "actual": actual},
    )
