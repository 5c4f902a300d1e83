"""Durable file operations: everything here blocks and belongs into a thread."""

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

_READ_BYTES: Final = 2**20


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder durable: without it a rename may be lost with the power."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Creates a folder and its missing parents, and makes each new name durable."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir()
    sync_folder(folder.parent)


def write_all(descriptor: int, data: bytes, offset: int) -> None:
    """Writes all of `data` at `offset`: the system may take less at a time."""
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        offset += written
        view = view[written:]


def digest_of_file(descriptor: int) -> str:
    """Returns ``sha256:<hex>`` of an open file, from its first byte."""
    sha = hashlib.sha256()
    offset = 0
    while data := os.pread(descriptor, _READ_BYTES, offset):
        sha.update(data)
        offset += len(data)
    return f"sha256:{sha.hexdigest()}"


def keep(descriptor: int, temporary: Path, final: Path) -> None:
    """Makes a written file durable under its final name, in one step.

    Args:
        descriptor: The file, open.
        temporary: Its name so far, on the same file system.
        final: The name it gets; what had it before is replaced.
    """
    make_folder(final.parent)
    os.utime(descriptor)
    os.fsync(descriptor)
    temporary.replace(final)
    sync_folder(final.parent)


def mark_used(descriptor: int) -> None:
    """Sets a file's access time to now and leaves its modification time."""
    status = os.fstat(descriptor)
    os.utime(descriptor, ns=(time.time_ns(), status.st_mtime_ns))


@contextmanager
def locked(path: Path, *, create: bool) -> Iterator[int]:
    """Opens a file for reading and writing and holds its lock, across processes too.

    Whoever renames or deletes the file does so under this lock, so that the open file is still the
    one of that name.

    Raises:
        FileNotFoundError: There is no such file and `create` is false.
    """
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_CREAT if create else 0)
    while True:  # Once more only if the file lost its name while this waited.
        descriptor = os.open(path, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _has_name(descriptor, path):
                yield descriptor
                return
        finally:
            os.close(descriptor)


def _has_name(descriptor: int, path: Path) -> bool:
    """Tells whether the open file still has this name after the wait for its lock."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), path.stat(follow_symlinks=False))
    return False
