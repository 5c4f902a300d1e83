"""Checks the values of samples: finite, and within the range that the submission declares."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from slicer_svc.errors import SubmissionError, SubmissionReason
from slicer_svc.input_spec import Image, InputSpec

# A value may be off by rounding after normalisation, by this share of the range.
_TOLERANCE = 1e-3


def check_values(spec: InputSpec, array: NDArray[np.generic]) -> None:
    """Refuses samples of an input that are not finite or outside of its range.

    Args:
        spec: The input, shape and element type known.
        array: Its samples, `(n, *shape)` of its element type, at least one.

    Raises:
        SubmissionError: SAMPLES_OUT_OF_RANGE.
    """
    lowest, highest = _extremes(spec, array)
    # A NaN among the values makes both extremes NaN.
    finite = bool(np.isfinite(lowest).all() and np.isfinite(highest).all())
    minimum, maximum = spec.bounds() or (float("-inf"), float("inf"))
    slack = _TOLERANCE * (maximum - minimum) if spec.bounds() else 0.0
    within = bool((lowest >= minimum - slack).all() and (highest <= maximum + slack).all())
    if not finite or not within:
        raise SubmissionError(
            SubmissionReason.SAMPLES_OUT_OF_RANGE,
            f"{spec.name} has values that are not finite or outside of {minimum:g} to "
            f"{maximum:g} before normalisation.",
            advice="Give what the graph is fed, and declare value range, mean and deviation so.",
            metadata={
                "array": spec.name,
                "minimum": f"{minimum:g}",
                "maximum": f"{maximum:g}",
            },
        )


def _extremes(
    spec: InputSpec, array: NDArray[np.generic]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The smallest and the largest value before normalisation, for an image by channel."""
    image = spec.semantics if isinstance(spec.semantics, Image) else None
    axis = None if image is None else array.ndim - 1 if image.channels_last else 1
    others = tuple(other for other in range(array.ndim) if other != axis)
    lowest = array.min(axis=others).astype(np.float64)
    highest = array.max(axis=others).astype(np.float64)
    if image is None:
        return lowest, highest
    # Deviations are above 0: the order of the values stays.
    deviation = np.asarray(image.deviation or 1.0)
    mean = np.asarray(image.mean or 0.0)
    return lowest * deviation + mean, highest * deviation + mean
