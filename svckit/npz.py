"""Reads an npz that nobody has looked at yet: plain arrays, no pickle, no more than a limit."""

from __future__ import annotations

import errno
import tokenize
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

_MAX_MEMBERS: Final = 64

# All that numpy writes. Other methods unpack a block at once, however much that is.
_COMPRESSIONS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_HEADERS: Final = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}

# What zipfile and numpy raise for bytes that are not what they should be; an encrypted member is a
# RuntimeError, and numpy's reader of old headers lets the tokenizer's errors through.
_GARBLED: Final = (
    zipfile.BadZipFile,
    zlib.error,
    tokenize.TokenError,
    ValueError,
    SyntaxError,
    RuntimeError,
    EOFError,
)


class UnreadableError(Exception):
    """The file is no npz of plain arrays; its text says why."""


class TooLargeError(Exception):
    """The arrays are larger than the limit once unpacked.

    Attributes:
        size_bytes: How large they are.
    """

    def __init__(self, size_bytes: int) -> None:
        super().__init__(f"{size_bytes} bytes")
        self.size_bytes = size_bytes


def read_arrays(path: Path, limit_bytes: int) -> dict[str, NDArray[np.generic]]:
    """Reads the arrays of an npz by their names.

    Args:
        path: The file.
        limit_bytes: The largest size of the file, and of all arrays once unpacked.

    Raises:
        UnreadableError: It is no npz of plain arrays.
        TooLargeError: It is larger than the limit.
    """
    # The list of members alone may be as large as the file.
    _check_size(path.stat().st_size, limit_bytes)
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            _check_members(members, limit_bytes)
            return {_name(member): _read_array(archive, member) for member in members}
    except _GARBLED as error:
        raise UnreadableError(str(error)) from error
    except OSError as error:
        # Other numbers tell of the disk, not of the file; this one of an offset below 0.
        if error.errno == errno.EINVAL:
            raise UnreadableError(str(error)) from error
        raise


def _name(member: zipfile.ZipInfo) -> str:
    return member.filename.removesuffix(".npy")


def _check_members(members: Sequence[zipfile.ZipInfo], limit_bytes: int) -> None:
    # The archive never yields more than a member declares, so the sum bounds what is unpacked.
    _check_size(sum(member.file_size for member in members), limit_bytes)
    if len(members) > _MAX_MEMBERS:
        raise ValueError(f"there are {len(members)} arrays, more than {_MAX_MEMBERS}")
    for member in members:
        if member.compress_type not in _COMPRESSIONS:
            raise ValueError(f"{member.filename} is compressed by an uncommon method")
    if len({_name(member) for member in members}) < len(members):
        raise ValueError("an array is there twice")


def _check_size(size: int, limit_bytes: int) -> None:
    if size > limit_bytes:
        raise TooLargeError(size)


def _read_array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[np.generic]:
    with archive.open(member) as stream:
        version = npy.read_magic(stream)
        if version not in _HEADERS:
            raise ValueError(f"{member.filename} is of npy version {version}")
        shape, _, dtype = _HEADERS[version](stream)
        # Read before the array: a header may declare more than the member holds.
        if dtype.hasobject or int(np.prod(shape, dtype=object)) * dtype.itemsize > member.file_size:
            raise ValueError(f"{member.filename} holds {dtype} {shape}, not a plain array")
    with archive.open(member) as stream:
        array: NDArray[np.generic] = npy.read_array(stream, allow_pickle=False)
        return array
