"""The port behind which artifacts are stored."""

from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from svckit.artifacts.digests import Artifact

CHUNK_BYTES: Final = 2**20
"""The largest chunk in which artifacts are written and read, in bytes."""


@dataclass(frozen=True)
class WriteState:
    """How far an upload is.

    Attributes:
        committed_size: How many bytes are kept.
        complete: Whether the artifact is stored and verified.
    """

    committed_size: int
    complete: bool


@dataclass(frozen=True)
class StoredArtifact:
    """An artifact in the store's list.

    Attributes:
        digest: Its digest.
        size_bytes: Its size.
        used_at: When it was last written, uploaded again or touched; seconds since the epoch.
    """

    digest: str
    size_bytes: int
    used_at: float


class ArtifactStore(Protocol):
    """Keeps immutable bytes by their digest; every method takes ``sha256:<hex>``.

    All methods raise InvalidArgument (FIELD_INVALID) for a malformed digest; those that write
    raise ResourceExhausted (STORAGE_FULL) for a full disk and InvalidArgument
    (ARTIFACT_TOO_LARGE) above the size limit, and then keep nothing of what they wrote.
    """

    async def put(
        self, content: bytes | AsyncIterable[bytes], digest: str | None = None
    ) -> Artifact:
        """Stores bytes in one go: all or nothing, also when cancelled.

        Args:
            content: The bytes, or their chunks in order.
            digest: What the digest must be, where it is known beforehand.

        Raises:
            InvalidArgument: DIGEST_MISMATCH, the bytes have another digest.
        """
        ...

    async def put_file(self, source: Path) -> Artifact:
        """Stores a copy of a file, such as one that a worker wrote: all or nothing."""
        ...

    async def write_state(self, digest: str) -> WriteState:
        """Tells how far the upload of an artifact is; an unknown one stands at 0."""
        ...

    async def append(self, digest: str, offset: int, data: bytes) -> WriteState:
        """Adds a chunk to an upload that survives a restart.

        Bytes in front of the committed size are skipped, so that two uploads of one artifact go
        on side by side; the digest is verified in `finish` whoever wrote what.

        Raises:
            OutOfRange: WRITE_OFFSET_INVALID, the chunk leaves a gap.
        """
        ...

    async def finish(self, digest: str) -> Artifact:
        """Verifies an upload and stores it; one that is stored already is left as it is.

        Raises:
            InvalidArgument: DIGEST_MISMATCH; the upload was dropped.
            NotFound: Nothing was uploaded.
        """
        ...

    async def stat(self, digest: str) -> Artifact:
        """Returns an artifact without reading it.

        Raises:
            NotFound: It is not stored.
        """
        ...

    async def touch(self, digest: str) -> bool:
        """Marks an artifact as used now, so that no sweep takes it; False if it is not stored."""
        ...

    def read(self, digest: str, offset: int = 0, limit: int = 0) -> AsyncGenerator[bytes, None]:
        """Yields the bytes from `offset`, at most `limit` of them (0: to the end).

        Raises:
            NotFound: It is not stored.
            OutOfRange: READ_OUT_OF_RANGE, the offset is behind the end.
            DataLoss: DIGEST_MISMATCH, the stored bytes are damaged. A read of the whole artifact
                raises it at its end, a read of a part before its first byte.
        """
        ...

    async def path(self, digest: str) -> Path:
        """Returns a verified file with the artifact's bytes, to be read and never written.

        Raises:
            NotFound: It is not stored.
            DataLoss: DIGEST_MISMATCH, the stored bytes are damaged.
        """
        ...

    async def list(self) -> Sequence[StoredArtifact]:
        """Returns all artifacts, in no order."""
        ...

    async def delete_unused(self, digest: str, before: float) -> bool:
        """Deletes an artifact unless it was used since; tells whether it is gone.

        Args:
            digest: The artifact.
            before: Seconds since the epoch; one touched at or after this is kept.
        """
        ...

    async def sweep_leftovers(self, before: float) -> int:
        """Deletes unfinished uploads and damaged files not changed since; returns how many.

        Args:
            before: Seconds since the epoch.
        """
        ...
