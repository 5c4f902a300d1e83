"""What every file of samples is: an npz with one array per input by its name, and one of labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from svckit.input_spec import LABELS, InputSpec, Text

Arrays = dict[str, NDArray[np.generic]]

MAX_BYTES: Final = 256 * 2**20
"""The largest size of samples once unpacked, in bytes."""

# A value may be off by rounding after normalisation, by this share of the range.
_TOLERANCE: Final = 1e-3


def read_checked(path: str | Path) -> tuple[Arrays, NDArray[np.generic]]:
    """Reads a file that was checked when it came.

    Args:
        path: The npz file.

    Returns:
        One array per input by its name, first axis the sample; and the labels.
    """
    with np.load(path, allow_pickle=False) as found:
        arrays = {name: found[name] for name in found.files}
    return arrays, arrays.pop(LABELS)


def read_labels(path: str | Path) -> NDArray[np.generic]:
    """Reads the labels alone of a file that was checked when it came."""
    with np.load(path, allow_pickle=False) as found:
        labels: NDArray[np.generic] = found[LABELS]
    return labels


def expected_names(specs: Iterable[InputSpec]) -> set[str]:
    """Returns the names of the arrays that samples of these inputs have."""
    return {LABELS, *(spec.name for spec in specs)}


def has_form(array: NDArray[np.generic], spec: InputSpec, count: int) -> bool:
    """Whether an array is so many samples of an input, by shape and type."""
    # Equality of types, unlike that of their names, also minds the order of bytes.
    return array.shape == (count, *spec.shape) and array.dtype == np.dtype(spec.element_type)


def told_forms(array: NDArray[np.generic], spec: InputSpec, count: int) -> Mapping[str, str]:
    """Returns what an array is and what it should be, for people: ``actual`` and ``expected``."""
    shape = (count, *spec.shape)
    return {"expected": f"{spec.element_type} {shape}", "actual": f"{array.dtype} {array.shape}"}


def accepted_range(spec: InputSpec) -> tuple[float, float] | None:
    """Returns the smallest and the largest value before normalisation; None for any.

    It is the declared one, but for what rounding may add. Tokens are not rounded.
    """
    bounds = spec.bounds()
    if bounds is None or isinstance(spec.semantics, Text):
        return bounds
    minimum, maximum = bounds
    slack = _TOLERANCE * (maximum - minimum)
    return minimum - slack, maximum + slack
