"""Checks the values of samples: finite, and as the submission declares their range."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from slicer_svc.errors import SubmissionError, SubmissionReason
from svckit.input_spec import Image, InputSpec, Text
from svckit.samples import accepted_range

# Pictures taken together cover more of their range than this share. Values from 0 to 1 declared as
# 0 to 255, the mistake that this is for, cover 1/255.
_LEAST_SPREAD: Final = 1 / 16


def check_values(spec: InputSpec, array: NDArray[np.generic]) -> None:
    """Refuses samples of an input that are not finite or do not have the range it declares.

    They must lie within the range; those of an image must also cover more than a sliver of it, or
    a picture that does have this range would be fed to the graph at the wrong scale.

    Args:
        spec: The input, shape and element type known.
        array: Its samples, `(n, *shape)` of its element type, at least one.

    Raises:
        SubmissionError: SAMPLES_OUT_OF_RANGE.
    """
    lowest, highest = _extremes(spec, array)
    # A NaN among the values makes both extremes NaN.
    if not (np.isfinite(lowest).all() and np.isfinite(highest).all()):
        raise _not_finite(spec, array)
    accepted = accepted_range(spec)
    if accepted is None:
        return
    if (lowest < accepted[0]).any() or (highest > accepted[1]).any():
        raise _outside(spec, lowest, highest)
    if isinstance(spec.semantics, Image):
        spread = float((highest - lowest).max())
        if spread < _LEAST_SPREAD * (spec.image.maximum - spec.image.minimum):
            raise _sliver(spec, lowest, highest)


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


def _not_finite(spec: InputSpec, array: NDArray[np.generic]) -> SubmissionError:
    finite = np.isfinite(array).reshape(len(array), -1)
    place = int(np.argmin(finite.all(axis=1)))
    count = finite.size - int(np.count_nonzero(finite))
    return SubmissionError(
        SubmissionReason.SAMPLES_OUT_OF_RANGE,
        f"{spec.name} has NaN or infinite values: {count} of {finite.size}, the first of them in "
        f"the sample at index {place}.",
        advice="Leave out or repair the samples whose values are no finite numbers.",
        metadata={"array": spec.name, "not_finite": str(count), "sample": str(place)},
    )


def _outside(
    spec: InputSpec, lowest: NDArray[np.float64], highest: NDArray[np.float64]
) -> SubmissionError:
    match spec.semantics:
        case Image():
            advice = "Give what the graph is fed, and declare value range, mean and deviation so."
        case Text():
            advice = "Declare the size of the vocabulary, and give its tokens counted from 0."
        case _:
            advice = "Declare the range that the input has, or leave the range out."
    return _out_of_range(spec, lowest, highest, "outside of", advice)


def _sliver(
    spec: InputSpec, lowest: NDArray[np.float64], highest: NDArray[np.float64]
) -> SubmissionError:
    advice = (
        f"Declare the range that pictures have at the samples' scale, such as {lowest.min():g} to "
        f"{highest.max():g}, or give samples at the scale of the declared range."
    )
    return _out_of_range(spec, lowest, highest, "hardly any of", advice)


def _out_of_range(
    spec: InputSpec,
    lowest: NDArray[np.float64],
    highest: NDArray[np.float64],
    found: str,
    advice: str,
) -> SubmissionError:
    minimum, maximum = spec.bounds() or (-np.inf, np.inf)
    before = " before normalisation" if isinstance(spec.semantics, Image) else ""
    return SubmissionError(
        SubmissionReason.SAMPLES_OUT_OF_RANGE,
        f"The values of {spec.name}{before} span {lowest.min():g} to {highest.max():g}, {found} "
        f"the declared range {minimum:g} to {maximum:g}.",
        advice=advice,
        metadata={
            "array": spec.name,
            "minimum": f"{minimum:g}",
            "maximum": f"{maximum:g}",
            "lowest": f"{lowest.min():g}",
            "highest": f"{highest.max():g}",
        },
    )
