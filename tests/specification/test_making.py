"""What a specification holds, and what it never does."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from specification.codec import from_bytes, to_bytes
from specification.errors import SpecificationError, SpecificationReason
from specification.labelling import Labelling
from specification.making import make
from specification.model import LEAST_SHARE
from specification.spaces.features import features
from svckit.input_spec import FLOAT32, InputSpec, Tensor, Text
from tests.specification.pictures import FEW, drawn, input_of, specified

TABLE = InputSpec("row", (3,), FLOAT32, Tensor())


def test_the_same_samples_and_seed_make_the_same_bytes() -> None:
    assert to_bytes(specified(("rows", "discs"), 3)) == to_bytes(specified(("rows", "discs"), 3))


def test_a_set_has_a_quarter_of_the_samples_and_stands_for_every_class() -> None:
    found = specified(("rows", "discs", "reds"), 1, count=20)
    assert LEAST_SHARE * len(found.weights) <= found.samples == 60
    assert set(found.point_classes.tolist()) == {0, 1, 2}
    assert found.weights.sum() == pytest.approx(1.0)
    assert (found.weights >= 0).all()


def test_a_class_keeps_its_share_of_the_weight() -> None:
    samples = np.concatenate([drawn("rows", 8, 0), drawn("discs", 24, 0)])
    labels = np.repeat([0, 1], [8, 24])
    known = Labelling(("rows", "discs"), labels)
    found = make({"image": samples}, [input_of()], known, seed=0)
    assert found.weights[found.points_of(0)].sum() == pytest.approx(0.25)


def test_no_point_is_near_a_sample() -> None:
    found = specified(("rows", "discs"), 2)
    samples = np.concatenate([drawn("rows", FEW, 2), drawn("discs", FEW, 2)])
    _, points = features({"image": samples}, [input_of()])
    apart = np.sqrt(((found.points[:, None] - points[None]) ** 2).sum(axis=2))
    assert apart.min() == pytest.approx(found.nearest, rel=1e-6)
    assert found.nearest >= found.bound > 0


@settings(max_examples=30, deadline=None)
@given(
    values=arrays(np.float64, (16, 3), elements=st.floats(-100, 100, width=32)),
    doubled=st.booleans(),
)
def test_any_table_is_hidden_or_refused(values: np.ndarray, doubled: bool) -> None:
    if doubled:
        values[8:] = values[:8]
    if np.ptp(values, axis=0).max() < 1e-3:
        with suppress(SpecificationError):
            make({"row": values}, [TABLE], None, seed=0)
        return
    found = make({"row": values}, [TABLE], None, seed=0)
    samples = (values - found.offset) / found.scale
    apart = np.sqrt(((found.points[:, None] - samples[None]) ** 2).sum(axis=2))
    assert apart.min() >= 0.99 * found.bound > 0


def test_a_column_that_varies_by_next_to_nothing_is_no_obstacle() -> None:
    values = np.random.default_rng(0).normal(size=(16, 3)) * [1.0, 1.0, 1e-16]
    found = make({"row": values}, [TABLE], None, seed=0)
    assert found.scale[2] == 1.0


def test_the_proxy_tells_the_samples_classes_apart() -> None:
    found = specified(("rows", "columns", "reds"), 4, count=16)
    fresh = np.concatenate([drawn(name, 10, 99) for name in ("rows", "columns", "reds")])
    _, points = features({"image": fresh}, [input_of()])
    said = (points @ found.proxy + found.bias).argmax(axis=1)
    assert (said == np.repeat([0, 1, 2], 10)).mean() > 0.8


def test_samples_without_labels_have_points_without_classes() -> None:
    found = specified(("rows", "discs"), 5, labelled=False)
    assert not found.labelled
    assert set(found.point_classes.tolist()) == {-1}
    assert found.proxy.shape[1] == 0


def test_a_class_of_three_samples_is_too_small() -> None:
    with pytest.raises(SpecificationError) as caught:
        specified(("rows", "discs"), 0, count=3)
    assert caught.value.reason is SpecificationReason.SPECIFICATION_TOO_FEW_SAMPLES
    assert "rows" in caught.value.message


def test_more_classes_than_a_search_can_look_into_are_refused_with_the_limit() -> None:
    samples, labels = np.random.default_rng(0).normal(size=(4100, 3)), np.arange(4100) % 1025
    names = tuple(map(str, range(1025)))
    with pytest.raises(SpecificationError) as caught:
        make({"row": samples}, [TABLE], Labelling(names, labels), seed=0)
    assert caught.value.metadata["limit"] == "1024"
    assert "1025" in caught.value.message


def test_labels_as_long_as_a_models_may_be_are_specified_in_any_script() -> None:
    samples, labels = np.random.default_rng(0).normal(size=(24, 3)), np.repeat([0, 1], 12)
    names = (256 * "鷺", 256 * "🦩")
    found = make({"row": samples}, [TABLE], Labelling(names, labels), seed=0)
    assert from_bytes(to_bytes(found)).labels == names


def test_samples_that_are_all_the_same_cannot_be_hidden() -> None:
    with pytest.raises(SpecificationError) as caught:
        make({"row": np.ones((16, 3))}, [TABLE], None, seed=0)
    assert caught.value.reason is SpecificationReason.SPECIFICATION_TOO_NEAR


@pytest.mark.parametrize(
    ("labels", "outputs", "field"),
    [
        (np.zeros(5, dtype=np.int64), None, "labels"),
        (np.full(24, 2), None, "labels"),
        (np.full(24, -1), None, "labels"),
        (np.repeat([0, 1], 12), np.ones((24, 3)), "outputs"),
        (np.repeat([0, 1], 12), np.full((24, 2), np.nan), "outputs"),
        (np.repeat([0, 1], 12), np.full((24, 2), -1.0), "outputs"),
    ],
)
def test_what_does_not_fit_the_samples_is_refused(
    labels: np.ndarray, outputs: np.ndarray | None, field: str
) -> None:
    samples = np.random.default_rng(0).normal(size=(24, 3))
    with pytest.raises(SpecificationError) as caught:
        make({"row": samples}, [TABLE], Labelling(("a", "b"), labels, outputs), seed=0)
    assert caught.value.metadata == {"field": field}


def test_more_columns_than_can_be_written_are_refused_before_they_are_computed() -> None:
    # All the same: whatever looked at them first would say so.
    with pytest.raises(SpecificationError) as caught:
        make({"row": np.ones((8, 16_385))}, [TABLE], None, seed=0)
    assert caught.value.metadata == {"field": "dimensions"}


@pytest.mark.parametrize("samples", [{}, {"row": np.full((24, 3), np.inf)}])
def test_samples_that_lack_or_are_not_finite_are_refused(samples: dict[str, np.ndarray]) -> None:
    with pytest.raises(SpecificationError, match=r"samples\.row"):
        make(samples, [TABLE], None, seed=0)


def test_texts_are_specified_by_their_tokens() -> None:
    spec = InputSpec("tokens", (9,), "int64", Text("sha256:ab", 100, 0))
    tokens = np.random.default_rng(0).integers(0, 100, size=(20, 9))
    found = make({"tokens": tokens}, [spec], None, seed=0)
    assert found.space.key == "sha256:ab"
    assert np.isfinite(found.points).all()
