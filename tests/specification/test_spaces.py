"""The spaces that samples are compared in."""

from __future__ import annotations

import numpy as np
import pytest

from specification.spaces.canonical import SIDE, canonical
from specification.spaces.features import features
from specification.spaces.text import text_features
from svckit.input_spec import FLOAT32, Image, InputSpec, Text
from tests.specification.pictures import drawn, input_of


def distance(left: np.ndarray, right: np.ndarray) -> float:
    return float(np.linalg.norm(left - right) / np.linalg.norm(left))


def test_layout_range_and_normalisation_make_no_difference() -> None:
    pictures = drawn("discs", 4, 0)
    other = InputSpec(
        "x", (32, 32, 3), FLOAT32, Image(True, 0.0, 255.0, (127.5, 100.0, 90.0), (60.0, 50.0, 40.0))
    )
    semantics = other.image
    fed = (255 * pictures.transpose(0, 2, 3, 1) - semantics.mean) / semantics.deviation
    space, points = features({"image": pictures}, [input_of()])
    space_of_other, points_of_other = features({"x": fed}, [other])
    assert space == space_of_other
    assert distance(points, points_of_other) < 1e-3


@pytest.mark.parametrize("side", [16, 24, 48, 64, 224])
def test_pictures_of_another_size_lie_nearer_than_other_pictures(side: int) -> None:
    pictures = drawn("discs", 6, 0, 64)
    taken = np.arange(side) * 64 // side
    resized = pictures[:, :, taken][..., taken]
    full, small = input_of(64), input_of(side)
    _, points = features({"image": pictures}, [full])
    _, points_of_small = features({"image": resized}, [small])
    _, points_of_others = features({"image": drawn("rows", 6, 0, 64)}, [full])
    mean = points.mean(axis=0)
    assert distance(mean, points_of_small.mean(axis=0)) < distance(
        mean, points_of_others.mean(axis=0)
    )


def test_grey_pictures_have_three_equal_channels() -> None:
    spec = InputSpec("image", (1, 28, 28), FLOAT32, Image(False, 0.0, 1.0))
    grey = np.random.default_rng(0).random((2, 1, 28, 28)).astype(np.float32)
    found = canonical(grey, spec)
    assert found.shape == (2, SIDE, SIDE, 3)
    assert (found[..., 0] == found[..., 2]).all()
    assert 0.0 <= found.min() <= found.max() <= 1.0


def test_padding_tells_nothing_of_a_text() -> None:
    text = Text("sha256:ab", 50, 0)
    short = np.array([[7, 3, 3]])
    padded = np.array([[7, 3, 3, 0, 0, 0]])
    assert (text_features(short, text) == text_features(padded, text)).all()


def test_texts_of_the_same_tokens_are_nearer_than_of_others() -> None:
    text = Text("sha256:ab", 1000, 0)
    random = np.random.default_rng(0)
    one, same = random.integers(1, 100, (2, 50, 40))
    other = random.integers(500, 600, (50, 40))
    means = [text_features(tokens, text).mean(axis=0) for tokens in (one, same, other)]
    assert distance(means[0], means[1]) < 0.5 * distance(means[0], means[2])
