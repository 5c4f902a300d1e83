"""Reads the samples of a submission: an npz that nobody has looked at yet."""

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

from slicer_svc.errors import SubmissionError, SubmissionReason
from slicer_svc.input_spec import InputSpec
from slicer_svc.sample_values import check_values
from slicer_svc.slicing.samples import Samples

MAX_BYTES: Final = 256 * 2**20
"""The largest size of the samples once unpacked, in bytes."""

LABELS: Final = "labels"
"""The name of the array of labels."""

_MAX_MEMBERS: Final = 64
_ADVICE: Final = (
    "Write them with numpy.savez: one plain array per graph input by its name, and labels."
)

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


def read_samples(path: Path, specs: Sequence[InputSpec]) -> Samples:
    """Reads and checks samples.

    Args:
        path: The npz file.
        specs: The graph's inputs, shapes and element types known.

    Returns:
        The samples.

    Raises:
        SubmissionError: The file is no npz of plain arrays, is too large once unpacked, or does not
            fit the inputs.
    """
    arrays = read_arrays(path)
    names = {spec.name for spec in specs} | {LABELS}
    if set(arrays) != names:
        raise _mismatch(
            ", ".join(sorted(set(arrays) ^ names)),
            f"The samples hold {sorted(arrays)}, the graph needs {sorted(names)}.",
        )
    classes = arrays.pop(LABELS)
    if classes.dtype != np.int64 or classes.ndim != 1:
        raise _mismatch(LABELS, f"labels are {classes.dtype} {classes.shape}, not int64 (n,).")
    if not len(classes):
        raise _mismatch(LABELS, "There is no sample.")
    for spec in specs:
        _check_count(spec, arrays[spec.name], len(classes))
        _check_type(spec, arrays[spec.name], len(classes))
        check_values(spec, arrays[spec.name])
    return Samples(arrays, classes.astype(np.int64, copy=False))


def read_arrays(path: Path) -> dict[str, NDArray[np.generic]]:
    """Reads the arrays of an npz by their names.

    Raises:
        SubmissionError: SAMPLES_UNREADABLE or SAMPLES_TOO_LARGE.
    """
    # The list of members alone may be as large as the file.
    _check_size(path.stat().st_size)
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            _check_members(members)
            return {_name(member): _read_array(archive, member) for member in members}
    except _GARBLED as error:
        raise _unreadable(error) from error
    except OSError as error:
        # Other numbers tell of the disk, not of the file; this one of an offset below 0.
        if error.errno == errno.EINVAL:
            raise _unreadable(error) from error
        raise


def _name(member: zipfile.ZipInfo) -> str:
    return member.filename.removesuffix(".npy")


def _check_members(members: Sequence[zipfile.ZipInfo]) -> None:
    # The archive never yields more than a member declares, so the sum bounds what is unpacked.
    _check_size(sum(member.file_size for member in members))
    if len(members) > _MAX_MEMBERS:
        raise ValueError(f"there are {len(members)} arrays, more than {_MAX_MEMBERS}")
    for member in members:
        if member.compress_type not in _COMPRESSIONS:
            raise ValueError(f"{member.filename} is compressed by an uncommon method")
    if len({_name(member) for member in members}) < len(members):
        raise ValueError("an array is there twice")


def _check_size(size: int) -> None:
    if size > MAX_BYTES:
        raise SubmissionError(
            SubmissionReason.SAMPLES_TOO_LARGE,
            f"The samples take {size} bytes, more than {MAX_BYTES}.",
            advice="Leave some out: a few samples a class are enough.",
            metadata={"limit_bytes": str(MAX_BYTES), "bytes": str(size)},
        )


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


def _check_count(spec: InputSpec, array: NDArray[np.generic], count: int) -> None:
    if array.ndim and len(array) != count and array.shape[1:] == spec.shape:
        raise SubmissionError(
            SubmissionReason.SAMPLES_MISMATCH,
            f"{spec.name} holds {len(array)} samples, but there are {count} labels.",
            advice="Give every sample one label: the first axes of all arrays are equally long.",
            metadata={"array": spec.name, "samples": str(len(array)), "labels": str(count)},
        )


def _check_type(spec: InputSpec, array: NDArray[np.generic], count: int) -> None:
    expected = (count, *(spec.shape or ()))
    # Equality of types, unlike that of their names, also minds the order of bytes.
    if array.shape != expected or array.dtype != np.dtype(spec.element_type):
        raise SubmissionError(
            SubmissionReason.SAMPLES_MISMATCH,
            f"{spec.name} is {array.dtype} {array.shape}, the graph needs "
            f"{spec.element_type} {expected}.",
            advice="Convert the array to the graph's type and shape, first axis the sample.",
            metadata={
                "array": spec.name,
                "expected": f"{spec.element_type} {expected}",
                "actual": f"{array.dtype} {array.shape}",
            },
        )


def _unreadable(error: Exception) -> SubmissionError:
    return SubmissionError(
        SubmissionReason.SAMPLES_UNREADABLE,
        f"The samples cannot be read: {error}.",
        advice=_ADVICE,
    )


def _mismatch(array: str, message: str) -> SubmissionError:
    return SubmissionError(
        SubmissionReason.SAMPLES_MISMATCH, message, advice=_ADVICE, metadata={"array": array}
    )
