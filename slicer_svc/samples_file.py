"""Reads the samples of a submission: an npz that nobody has looked at yet."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from slicer_svc.errors import SubmissionError, SubmissionReason
from slicer_svc.input_spec import InputSpec
from slicer_svc.slicing.samples import Samples

MAX_BYTES = 256 * 2**20
"""The largest size of the samples once unpacked, in bytes."""

LABELS = "labels"
"""The name of the array of labels."""

_MAX_MEMBERS = 64
_ADVICE = "Write them with numpy.savez: one plain array per graph input by its name, and labels."


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
    arrays = _read_arrays(path)
    names = {spec.name for spec in specs} | {LABELS}
    if set(arrays) != names:
        raise _mismatch(
            ", ".join(sorted(set(arrays) ^ names)),
            f"The samples hold {sorted(arrays)}, the graph needs {sorted(names)}.",
        )
    classes = arrays.pop(LABELS)
    if classes.dtype != np.int64 or classes.ndim != 1:
        raise _mismatch(LABELS, f"labels are {classes.dtype} {classes.shape}, not int64 (n,).")
    for spec in specs:
        _check_input(spec, arrays[spec.name], len(classes))
    return Samples(arrays, classes.astype(np.int64, copy=False))


def _read_arrays(path: Path) -> dict[str, NDArray[np.generic]]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            _check_size(members)
            return {
                member.filename.removesuffix(".npy"): _read_array(archive, member)
                for member in members
            }
    except (zipfile.BadZipFile, ValueError, EOFError, OSError, NotImplementedError) as error:
        raise SubmissionError(
            SubmissionReason.SAMPLES_UNREADABLE,
            f"The samples cannot be read: {error}.",
            advice=_ADVICE,
        ) from error


def _check_size(members: Sequence[zipfile.ZipInfo]) -> None:
    # The archive never yields more than a member declares, so the sum bounds what is unpacked.
    unpacked = sum(member.file_size for member in members)
    if unpacked > MAX_BYTES or len(members) > _MAX_MEMBERS:
        raise SubmissionError(
            SubmissionReason.SAMPLES_TOO_LARGE,
            f"The samples unpack to {unpacked} bytes in {len(members)} arrays.",
            advice=f"Keep to {MAX_BYTES} bytes: a few samples a class are enough.",
            metadata={"limit_bytes": str(MAX_BYTES), "bytes": str(unpacked)},
        )


def _read_array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[np.generic]:
    with archive.open(member) as stream:
        version = npy.read_magic(stream)
        read_header = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
        if version not in read_header:
            raise ValueError(f"{member.filename} is of npy version {version}")
        shape, _, dtype = read_header[version](stream)
        # Read before the array: a header may declare more than the member holds.
        if dtype.hasobject or int(np.prod(shape, dtype=object)) * dtype.itemsize > member.file_size:
            raise ValueError(f"{member.filename} holds {dtype} {shape}, not a plain array")
    with archive.open(member) as stream:
        array: NDArray[np.generic] = npy.read_array(stream, allow_pickle=False)
        return array


def _check_input(spec: InputSpec, array: NDArray[np.generic], count: int) -> None:
    expected = (count, *(spec.shape or ()))
    if array.shape != expected or array.dtype.name != spec.element_type:
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
    finite = array.dtype.kind != "f" or bool(np.isfinite(array.astype(np.float64)).all())
    if not finite or not spec.within_bounds(array):
        bounds = spec.bounds() or (float("-inf"), float("inf"))
        raise SubmissionError(
            SubmissionReason.SAMPLES_OUT_OF_RANGE,
            f"{spec.name} has values that are not finite or outside of {bounds[0]:g} to "
            f"{bounds[1]:g} before normalisation.",
            advice="Give what the graph is fed, and declare value range, mean and deviation so.",
            metadata={
                "array": spec.name,
                "minimum": f"{bounds[0]:g}",
                "maximum": f"{bounds[1]:g}",
            },
        )


def _mismatch(array: str, message: str) -> SubmissionError:
    return SubmissionError(
        SubmissionReason.SAMPLES_MISMATCH, message, advice=_ADVICE, metadata={"array": array}
    )
