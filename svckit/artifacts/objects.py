"""The stored artifacts of a folder; everything here blocks and belongs into a thread.

``objects/ab/abcd…`` holds them by their hexadecimal digest, ``damaged/`` those whose bytes changed
on disk. A file's access time says when its artifact was last used.
"""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

import structlog

from svckit.artifacts.digests import Artifact
from svckit.artifacts.failures import damaged, not_found, read_out_of_range
from svckit.artifacts.files import digest_of_file, keep, locked, make_folder, mark_used, sync_folder
from svckit.artifacts.store import CHUNK_BYTES, StoredArtifact

_log: Final = structlog.get_logger(__name__)
_PREFIX: Final = "sha256:"


def hexadecimal(digest: str) -> str:
    """Returns the digits of a digest, which name its files."""
    return digest.removeprefix(_PREFIX)


class ObjectFiles:
    """Names, lists, verifies and deletes stored artifacts.

    Args:
        root: The store's folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._objects = root / "objects"
        self._damaged = root / "damaged"
        # What a file was when all of its bytes were last verified: device, inode, size, mtime.
        self._verified: dict[str, tuple[int, int, int, int]] = {}
        make_folder(self._objects)
        make_folder(self._damaged)

    def path(self, digest: str) -> Path:
        """Returns where an artifact is or would be."""
        digits = hexadecimal(digest)
        return self._objects / digits[:2] / digits

    def stat(self, digest: str) -> Artifact | None:
        """Returns an artifact, or None if it is not stored."""
        with suppress(FileNotFoundError):
            return Artifact(digest, self.path(digest).stat().st_size)
        return None

    def touch(self, digest: str) -> bool:
        """Marks an artifact as used now; False if it is not stored."""
        with self._lock(), suppress(FileNotFoundError), self.path(digest).open("rb") as file:
            mark_used(file.fileno())
            return True
        return False

    def keep(self, descriptor: int, temporary: Path, digest: str) -> Artifact:
        """Stores a written and verified file under its digest."""
        final = self.path(digest)
        make_folder(final.parent)
        with self._lock():
            keep(descriptor, temporary, final)
        return Artifact(digest, os.fstat(descriptor).st_size)

    def list(self) -> Sequence[StoredArtifact]:
        """Returns all artifacts."""
        return list(self._scan())

    def delete_unused(self, digest: str, before: float) -> bool:
        """Deletes an artifact unless it was used since; tells whether it is gone."""
        path = self.path(digest)
        with self._lock():
            try:
                if path.stat().st_atime >= before:
                    return False
                path.unlink()
            except FileNotFoundError:
                return True
            sync_folder(path.parent)
        self._verified.pop(digest, None)
        return True

    def verified_path(self, digest: str) -> Path:
        """Returns the file of an artifact, verified since it was last written or changed.

        Raises:
            NotFound: It is not stored.
            DataLoss: DIGEST_MISMATCH.
        """
        with ObjectReader(self, digest) as reader:
            reader.open()
            reader.verify()
        return self.path(digest)

    def verify(self, digest: str, descriptor: int) -> None:
        """Reads a whole open file, unless it was read and found intact since it last changed.

        Raises:
            DataLoss: DIGEST_MISMATCH; the file was put aside.
        """
        status = os.fstat(descriptor)
        stamp = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        if self._verified.get(digest) == stamp:
            return
        self.conclude(digest, descriptor, digest_of_file(descriptor))
        self._verified[digest] = stamp

    def conclude(self, digest: str, descriptor: int, actual: str) -> None:
        """Compares the digest of what was read with what it must be.

        Raises:
            DataLoss: DIGEST_MISMATCH; the file was put aside, so that it can be uploaded again.
        """
        if actual == digest:
            return
        self._put_aside(digest, descriptor)
        raise damaged(digest, actual)

    def sweep_damaged(self, before: float) -> int:
        """Deletes damaged files put aside before; returns how many."""
        return delete_older(self._damaged, before)

    def _put_aside(self, digest: str, descriptor: int) -> None:
        path = self.path(digest)
        with self._lock(), suppress(FileNotFoundError):
            # A new, intact copy may have come meanwhile: only the very file that was read moves.
            if os.path.samestat(path.stat(), os.fstat(descriptor)):
                os.utime(descriptor)
                path.rename(self._damaged / f"{hexadecimal(digest)}.{time.time_ns()}")
                _log.error("artifact_damaged", digest=digest)
        self._verified.pop(digest, None)

    def _scan(self) -> Iterator[StoredArtifact]:
        for shard in self._objects.iterdir():
            for file in shard.iterdir():
                with suppress(FileNotFoundError):
                    status = file.stat()
                    yield StoredArtifact(_PREFIX + file.name, status.st_size, status.st_atime)

    def _lock(self) -> AbstractContextManager[int]:
        """Orders whatever gives, changes or takes the name of a stored artifact."""
        return locked(self._root / ".lock", create=True)


class ObjectReader:
    """One read of one artifact, a context manager that closes its file.

    Args:
        objects: Where the artifact is.
        digest: The artifact.
    """

    def __init__(self, objects: ObjectFiles, digest: str) -> None:
        self._objects = objects
        self._digest = digest
        self._descriptor: int | None = None
        self._sha = sha256()

    def __enter__(self) -> "ObjectReader":
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)

    def open(self) -> int:
        """Opens the artifact and returns its size in bytes.

        Raises:
            NotFound: It is not stored.
        """
        try:
            flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
            self._descriptor = os.open(self._objects.path(self._digest), flags)
        except FileNotFoundError as error:
            raise not_found(self._digest) from error
        return os.fstat(self._descriptor).st_size

    def verify(self) -> None:
        """Verifies the whole artifact before a part of it is read."""
        self._objects.verify(self._digest, self._opened)

    def read(self, offset: int, end: int) -> bytes:
        """Returns the next chunk of ``[offset, end)``."""
        data = os.pread(self._opened, min(CHUNK_BYTES, end - offset), offset)
        self._sha.update(data)
        return data

    def conclude(self) -> None:
        """Compares the digest of all that was read with the artifact's."""
        actual = f"{_PREFIX}{self._sha.hexdigest()}"
        self._objects.conclude(self._digest, self._opened, actual)

    @property
    def _opened(self) -> int:
        assert self._descriptor is not None, "open() comes first"
        return self._descriptor


def checked_end(size: int, offset: int, limit: int) -> int:
    """Returns where a read ends.

    Args:
        size: The artifact's size in bytes.
        offset: Where the read starts.
        limit: How many bytes it wants; 0 for all.

    Raises:
        OutOfRange: READ_OUT_OF_RANGE, the read starts outside.
    """
    if not 0 <= offset <= size:
        raise read_out_of_range(size)
    return min(size, offset + limit) if limit > 0 else size


def delete_older(folder: Path, before: float) -> int:
    """Deletes the files of a folder that were not changed since; returns how many."""
    deleted = 0
    for file in folder.iterdir():
        with suppress(FileNotFoundError):
            if file.stat().st_mtime < before:
                file.unlink()
                deleted += 1
    return deleted
