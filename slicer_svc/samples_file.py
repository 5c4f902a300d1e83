"""Reads the samples of a submission: an npz that nobody has looked at yet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from slicer_svc.errors import SubmissionError, SubmissionReason
from slicer_svc.sample_values import check_values
from slicer_svc.slicing.samples import Samples
from svckit import npz
from svckit.input_spec import LABELS, InputSpec
from svckit.samples import MAX_BYTES, expected_names, has_form, told_forms

_ADVICE: Final = (
    "Write them with numpy.savez: one plain array per graph input by its name, and labels."
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
    names = expected_names(specs)
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
    try:
        return npz.read_arrays(path, MAX_BYTES)
    except npz.TooLargeError as error:
        raise SubmissionError(
            SubmissionReason.SAMPLES_TOO_LARGE,
            f"The samples take {error.size_bytes} bytes, more than {MAX_BYTES}.",
            advice="Leave some out: a few samples a class are enough.",
            metadata={"limit_bytes": str(MAX_BYTES), "bytes": str(error.size_bytes)},
        ) from error
    except npz.UnreadableError as error:
        raise SubmissionError(
            SubmissionReason.SAMPLES_UNREADABLE,
            f"The samples cannot be read: {error}.",
            advice=_ADVICE,
        ) from error


def _check_count(spec: InputSpec, array: NDArray[np.generic], count: int) -> None:
    if array.ndim and len(array) != count and array.shape[1:] == spec.shape:
        raise SubmissionError(
            SubmissionReason.SAMPLES_MISMATCH,
            f"{spec.name} holds {len(array)} samples, but there are {count} labels.",
            advice="Give every sample one label: the first axes of all arrays are equally long.",
            metadata={"array": spec.name, "samples": str(len(array)), "labels": str(count)},
        )


def _check_type(spec: InputSpec, array: NDArray[np.generic], count: int) -> None:
    if not has_form(array, spec, count):
        forms = told_forms(array, spec, count)
        raise SubmissionError(
            SubmissionReason.SAMPLES_MISMATCH,
            f"{spec.name} is {forms['actual']}, the graph needs {forms['expected']}.",
            advice="Convert the array to the graph's type and shape, first axis the sample.",
            metadata={"array": spec.name, **forms},
        )


def _mismatch(array: str, message: str) -> SubmissionError:
    return SubmissionError(
        SubmissionReason.SAMPLES_MISMATCH, message, advice=_ADVICE, metadata={"array": array}
    )
