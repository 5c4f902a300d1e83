"""Artifacts in a folder of a local disk."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

from svckit.artifacts.digests import Artifact, parse_digest
from svckit.artifacts.failures import not_found
from svckit.artifacts.objects import ObjectFiles, ObjectReader, checked_end
from svckit.artifacts.store import CHUNK_BYTES, StoredArtifact, WriteState
from svckit.artifacts.threads import in_thread
from svckit.artifacts.uploads import IncomingFile, IncomingFiles, PartialFiles

DEFAULT_MAX_BYTES: Final = 2 * 2**30
"""The default size limit of an artifact: protobuf's own limit of a message, in bytes."""

_P = ParamSpec("_P")
_T = TypeVar("_T")


class FolderArtifactStore:
    """The `ArtifactStore` of one folder; several processes may share it.

    A new artifact is written to a file of its own, synced, renamed to its digest, and the folder
    synced: a crash leaves an artifact whole or leaves none. Reads verify the digest: one of the
    whole artifact while it streams; one of a part, or `path`, reads the whole file first, once for
    each time that the file changed (device, inode, size, modification time) and process. A damaged
    file is put aside, so that the artifact can be uploaded again.

    Args:
        root: The folder; made if missing.
        max_bytes: The size limit of an artifact.
        max_threads: How many disk operations run at once.
    """

    def __init__(
        self, root: Path, *, max_bytes: int = DEFAULT_MAX_BYTES, max_threads: int = 8
    ) -> None:
        self._objects = ObjectFiles(root)
        self._partials = PartialFiles(root, self._objects, max_bytes)
        self._incoming = IncomingFiles(root, self._objects, max_bytes)
        self._threads = asyncio.Semaphore(max_threads)

    async def put(
        self, content: bytes | AsyncIterable[bytes], digest: str | None = None
    ) -> Artifact:
        """Stores bytes in one go; see `ArtifactStore.put`."""
        expected = None if digest is None else parse_digest(digest)
        chunks = _chunks(content) if isinstance(content, bytes) else content
        file = IncomingFile(self._incoming)
        try:
            async for chunk in chunks:
                await self._run(file.write, chunk)
            return await self._run(file.keep, expected)
        finally:
            await self._run(file.close)

    async def put_file(self, source: Path) -> Artifact:
        """Stores a copy of a file; see `ArtifactStore.put_file`."""
        file = IncomingFile(self._incoming)
        try:
            await self._run(file.copy, source)
            return await self._run(file.keep, None)
        finally:
            await self._run(file.close)

    async def write_state(self, digest: str) -> WriteState:
        """Tells how far an upload is; see `ArtifactStore.write_state`."""
        return await self._run(self._partials.state, parse_digest(digest))

    async def append(self, digest: str, offset: int, data: bytes) -> WriteState:
        """Adds a chunk to an upload; see `ArtifactStore.append`."""
        return await self._run(self._partials.append, parse_digest(digest), offset, data)

    async def finish(self, digest: str) -> Artifact:
        """Verifies and stores an upload; see `ArtifactStore.finish`."""
        return await self._run(self._partials.finish, parse_digest(digest))

    async def stat(self, digest: str) -> Artifact:
        """Returns an artifact without reading it; see `ArtifactStore.stat`."""
        artifact = await self._run(self._objects.stat, parse_digest(digest))
        if artifact is None:
            raise not_found(digest)
        return artifact

    async def touch(self, digest: str) -> bool:
        """Marks an artifact as used now; see `ArtifactStore.touch`."""
        return await self._run(self._objects.touch, parse_digest(digest))

    async def read(
        self, digest: str, offset: int = 0, limit: int = 0
    ) -> AsyncGenerator[bytes, None]:
        """Yields verified bytes; see `ArtifactStore.read`."""
        with ObjectReader(self._objects, parse_digest(digest)) as reader:
            size = await self._run(reader.open)
            end = checked_end(size, offset, limit)
            whole = offset == 0 and end == size
            if not whole:
                await self._run(reader.verify)
            while offset < end:
                # A file cut short ends the loop; the digest then tells.
                chunk = await self._run(reader.read, offset, end)
                if not chunk:
                    break
                offset += len(chunk)
                yield chunk
            if whole:
                await self._run(reader.conclude)

    async def path(self, digest: str) -> Path:
        """Returns a verified file; see `ArtifactStore.path`."""
        return await self._run(self._objects.verified_path, parse_digest(digest))

    async def list(self) -> Sequence[StoredArtifact]:
        """Returns all artifacts; see `ArtifactStore.list`."""
        return await self._run(self._objects.list)

    async def delete_unused(self, digest: str, before: float) -> bool:
        """Deletes an artifact unless it was used since; see `ArtifactStore.delete_unused`."""
        return await self._run(self._objects.delete_unused, parse_digest(digest), before)

    async def sweep_leftovers(self, before: float) -> int:
        """Deletes old unfinished uploads; see `ArtifactStore.sweep_leftovers`."""
        sweeps = (self._partials.sweep, self._incoming.sweep, self._objects.sweep_damaged)
        return sum([await self._run(sweep, before) for sweep in sweeps])

    async def _run(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Runs blocking work in one of the threads."""
        async with self._threads:
            return await in_thread(work, *args, **kwargs)


async def _chunks(content: bytes) -> AsyncIterator[bytes]:
    """Yields bytes in memory in chunks, so that the event loop goes on between them."""
    for start in range(0, len(content), CHUNK_BYTES):
        yield content[start : start + CHUNK_BYTES]
