"""Uploads of a folder that are not finished; everything here blocks and belongs into a thread.

``partials/<hex>`` grows chunk by chunk and survives a restart; ``incoming/<random>`` is written in
one go by this process. Both become artifacts by one rename.
"""

import hashlib
import os
import tempfile
from contextlib import suppress
from pathlib import Path

from svckit.artifacts.digests import Artifact
from svckit.artifacts.failures import (
    full_disk_is_an_answer,
    not_found,
    too_large,
    upload_mismatch,
    write_offset_invalid,
)
from svckit.artifacts.files import digest_of_file, locked, make_folder, write_all
from svckit.artifacts.objects import ObjectFiles, delete_older, hexadecimal
from svckit.artifacts.store import CHUNK_BYTES, WriteState


class PartialFiles:
    """Uploads that can be resumed, one file each.

    The bytes of a partial are not made durable before `finish`: after a power failure some may be
    missing or wrong, which its verification finds.

    Args:
        root: The store's folder.
        objects: Where finished uploads go.
        max_bytes: The size limit of an artifact.
    """

    def __init__(self, root: Path, objects: ObjectFiles, max_bytes: int) -> None:
        self._folder = root / "partials"
        self._objects = objects
        self._max_bytes = max_bytes
        make_folder(self._folder)

    def state(self, digest: str) -> WriteState:
        """Returns how far an upload is."""
        stored = self._objects.stat(digest)
        if stored is not None:
            return WriteState(stored.size_bytes, complete=True)
        with suppress(FileNotFoundError):
            return WriteState(self._path(digest).stat().st_size, complete=False)
        return WriteState(0, complete=False)

    def append(self, digest: str, offset: int, data: bytes) -> WriteState:
        """Adds a chunk; see `ArtifactStore.append`."""
        path = self._path(digest)
        try:
            # Only an upload's first chunk makes its file: a later one without it has lost it.
            with full_disk_is_an_answer(), locked(path, create=offset == 0) as descriptor:
                stored = self._stored(path, digest)
                if stored is None:
                    size = self._extend(descriptor, path, offset, data)
                    return WriteState(size, complete=False)
        except FileNotFoundError as error:
            stored = self._objects.stat(digest)
            if stored is None:
                raise write_offset_invalid(0) from error
        return WriteState(stored.size_bytes, complete=True)

    def finish(self, digest: str) -> Artifact:
        """Verifies and stores an upload; see `ArtifactStore.finish`."""
        path = self._path(digest)
        try:
            with locked(path, create=False) as descriptor:
                return self._stored(path, digest) or self._keep(descriptor, path, digest)
        except FileNotFoundError as error:
            stored = self._objects.stat(digest)
            if stored is None:
                raise not_found(digest) from error
            return stored

    def sweep(self, before: float) -> int:
        """Deletes uploads that got no byte since; returns how many."""
        return delete_older(self._folder, before)

    def _stored(self, path: Path, digest: str) -> Artifact | None:
        """Returns the artifact if another upload has stored it; this one's file then goes."""
        stored = self._objects.stat(digest)
        if stored is not None:
            path.unlink()
        return stored

    def _extend(self, descriptor: int, path: Path, offset: int, data: bytes) -> int:
        size = os.fstat(descriptor).st_size
        if offset > size:
            raise write_offset_invalid(size)
        if offset + len(data) > self._max_bytes:
            path.unlink()
            raise too_large(self._max_bytes)
        fresh = data[size - offset :]
        try:
            write_all(descriptor, fresh, size)
        except OSError:
            path.unlink()  # What it holds is space that others wait for.
            raise
        return size + len(fresh)

    def _keep(self, descriptor: int, path: Path, digest: str) -> Artifact:
        actual = digest_of_file(descriptor)
        if actual != digest:
            path.unlink()
            raise upload_mismatch(digest, actual)
        with full_disk_is_an_answer():
            try:
                return self._objects.keep(descriptor, path, digest)
            except OSError:
                path.unlink(missing_ok=True)
                raise

    def _path(self, digest: str) -> Path:
        return self._folder / hexadecimal(digest)


class IncomingFiles:
    """The folder of uploads that are all or nothing.

    Args:
        root: The store's folder.
        objects: Where finished uploads go.
        max_bytes: The size limit of an artifact.
    """

    def __init__(self, root: Path, objects: ObjectFiles, max_bytes: int) -> None:
        self.folder = root / "incoming"
        self.objects = objects
        self.max_bytes = max_bytes
        make_folder(self.folder)

    def sweep(self, before: float) -> int:
        """Deletes what a crash left behind and nothing wrote to since; returns how many."""
        return delete_older(self.folder, before)


class IncomingFile:
    """One artifact being written; `close` drops it unless it was kept.

    Args:
        place: The folder, the objects and the size limit.
    """

    def __init__(self, place: IncomingFiles) -> None:
        self._place = place
        self._sha = hashlib.sha256()
        self._size = 0
        self._descriptor: int | None = None
        self._path: Path | None = None

    def close(self) -> None:
        """Closes the file and deletes it unless `keep` stored it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def write(self, data: bytes) -> None:
        """Adds bytes at the end.

        Raises:
            InvalidArgument: ARTIFACT_TOO_LARGE.
            ResourceExhausted: STORAGE_FULL.
        """
        if self._size + len(data) > self._place.max_bytes:
            raise too_large(self._place.max_bytes)
        with full_disk_is_an_answer():
            write_all(self._open(), data, self._size)
        self._sha.update(data)
        self._size += len(data)

    def copy(self, source: Path) -> None:
        """Adds all bytes of a file at the end; raises as `write` does."""
        with source.open("rb") as file:
            while data := file.read(CHUNK_BYTES):
                self.write(data)

    def keep(self, digest: str | None) -> Artifact:
        """Stores what was written.

        Args:
            digest: What its digest must be, where that is known.

        Raises:
            InvalidArgument: DIGEST_MISMATCH.
            ResourceExhausted: STORAGE_FULL.
        """
        actual = f"sha256:{self._sha.hexdigest()}"
        if digest is not None and actual != digest:
            raise upload_mismatch(digest, actual)
        with full_disk_is_an_answer():
            descriptor = self._open()
            assert self._path is not None
            artifact = self._place.objects.keep(descriptor, self._path, actual)
        self._path = None
        return artifact

    def _open(self) -> int:
        if self._descriptor is None:
            self._descriptor, name = tempfile.mkstemp(dir=self._place.folder)
            self._path = Path(name)
        return self._descriptor
