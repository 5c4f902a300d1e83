"""Values of samples are finite, and as the submission declares their range."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from slicer_svc.errors import SubmissionError
from slicer_svc.errors import SubmissionReason as R
from slicer_svc.sample_values import check_values
from svckit.input_spec import Image, InputSpec, Tensor, Text
from tests.helpers.submissions import blobs

PICTURES = blobs(3, 4)["x"]


def picture(minimum: float, maximum: float) -> InputSpec:
    return InputSpec("x", (1, 8, 8), "float32", Image(False, minimum, maximum))


def refusal(spec: InputSpec, array: NDArray[Any]) -> SubmissionError:
    with pytest.raises(SubmissionError) as caught:
        check_values(spec, array)
    assert caught.value.reason == R.SAMPLES_OUT_OF_RANGE
    assert caught.value.advice.endswith(".")
    return caught.value


def with_value(value: float) -> NDArray[Any]:
    x = PICTURES.copy()
    x[3, 0, 2, 2] = value
    return x


@pytest.mark.parametrize("value", [-0.5, 1.5])
def test_values_outside_of_the_declared_range_are_refused_with_the_extremes(value: float) -> None:
    error = refusal(picture(0, 1), with_value(value))
    assert (error.metadata["minimum"], error.metadata["maximum"]) == ("0", "1")
    assert error.metadata["lowest" if value < 0 else "highest"] == f"{value:g}"
    assert f"{value:g}" in error.message
    assert "0 to 1" in error.message
    assert "NaN" not in error.message


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_finite_numbers_are_refused_as_such(value: float) -> None:
    error = refusal(picture(0, 1), with_value(value))
    assert error.metadata == {"array": "x", "not_finite": "1", "sample": "3"}
    assert "NaN or infinite" in error.message
    assert "range" not in error.message


@pytest.mark.parametrize("bounds", [(0.0, 255.0), (-128.0, 127.0)])
def test_pictures_of_another_scale_than_declared_are_refused(bounds: tuple[float, float]) -> None:
    error = refusal(picture(*bounds), PICTURES)
    assert error.metadata["maximum"] == f"{bounds[1]:g}"
    assert error.metadata["highest"] == f"{PICTURES.max():g}"
    assert f"span {PICTURES.min():g} to {PICTURES.max():g}" in error.message


def test_the_scale_is_that_of_each_channel_before_normalisation() -> None:
    # Pixels from 0 to 1, where means and deviations of pixels from 0 to 255 are declared.
    image = Image(False, 0.0, 255.0, mean=(10.0, 200.0), deviation=(5.0, 5.0))
    refusal(InputSpec("x", (2, 8, 8), "float32", image), np.repeat(PICTURES, 2, axis=1))


def test_dim_pictures_and_plain_numbers_need_not_fill_their_range() -> None:
    check_values(picture(0, 1), PICTURES / 8)
    check_values(InputSpec("x", (1, 8, 8), "float32", Tensor(0.0, 255.0)), PICTURES)


def normalised(channels_last: bool) -> tuple[InputSpec, NDArray[np.float32]]:
    """Pictures of two channels after normalisation, each with a mean and deviation of its own."""
    mean, deviation = (100.0, 20.0), (50.0, 5.0)
    image = Image(channels_last, 0.0, 255.0, mean, deviation)
    pixels = np.random.default_rng(0).uniform(0, 255, size=(4, 5, 6, 2))
    fed = ((pixels - mean) / deviation).astype(np.float32)
    if not channels_last:
        fed = fed.transpose(0, 3, 1, 2)
    return InputSpec("x", fed.shape[1:], "float32", image), fed


@pytest.mark.parametrize("channels_last", [False, True])
def test_the_range_holds_before_normalisation_channel_by_channel(channels_last: bool) -> None:
    spec, fed = normalised(channels_last)
    check_values(spec, fed)
    # In range for the first channel, (48 * 5 + 20) > 255 for the second.
    second = fed.copy()
    second[(0, 0, 0, 1) if channels_last else (0, 1, 0, 0)] = 48.0
    refusal(spec, second)
    first = fed.copy()
    first[0, 0, 0, 0] = 3.0
    check_values(spec, first)


def test_plain_numbers_are_bounded_only_where_they_say_so() -> None:
    array = np.array([[-5.0], [700.0]], np.float32)
    free = InputSpec("x", (1,), "float32", Tensor())
    check_values(free, array)
    refusal(InputSpec("x", (1,), "float32", Tensor(-5.0, 600.0)), array)
    refusal(free, np.array([[np.nan], [1.0]], np.float32))


@pytest.mark.parametrize(("size", "token"), [(100, -1), (100, 100), (30_000, 30_000)])
def test_tokens_are_those_of_the_vocabulary(size: int, token: int) -> None:
    spec = InputSpec("x", (2,), "int64", Text("sha256:" + "0" * 64, size, 0))
    check_values(spec, np.array([[0, size - 1], [5, 6]]))
    error = refusal(spec, np.array([[0, token], [5, 6]]))
    assert "vocabulary" in error.advice
