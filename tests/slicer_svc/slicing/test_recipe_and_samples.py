import json
from typing import Any

import numpy as np
import pytest

from slicer_svc.slicing.errors import SlicingError, SlicingReason
from slicer_svc.slicing.recipe import Adaptation, Criterion, Method, Recipe
from slicer_svc.slicing.samples import (
    REST,
    Samples,
    balanced_weights,
    class_pool,
    class_weights,
)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"beta": 0.0}, "beta"),
        ({"beta": 1.5}, "beta"),
        ({"beta": float("nan")}, "beta"),
        ({"budget_params": -0.1}, "budget_params"),
        ({"beta": 0.5, "budget_macs": 0.5}, "beta and budget_macs"),
        ({"budget_bytes": 1.1}, "budget_bytes"),
        ({"budget_latency": 0.0}, "budget_latency"),
        ({"budget_latency_ms": float("inf")}, "budget_latency_ms"),
        ({"budget_bytes": 0.5, "budget_latency": 0.5}, "budget_bytes and budget_latency"),
        ({"budget_macs": 0.5, "block": 0}, "block"),
        ({"beta": 0.5, "block": 16}, "block"),
        ({"block": 16}, "block"),
        ({"method": Method.THRESHOLD, "budget_macs": 0.5}, "method"),
        ({"method": Method.THRESHOLD_PLAIN, "budget_bytes": 0.5}, "method"),
        ({"method": Method.RATE, "criterion": Criterion.L1}, "criterion"),
        ({"method": Method.THRESHOLD, "adaptation": Adaptation.NONE}, "adaptation"),
        ({"steps": -1}, "steps"),
        ({"views": 0}, "views"),
        ({"alpha": float("inf")}, "alpha"),
        ({"learning_rate": 0.0}, "learning_rate"),
    ],
)
def test_a_recipe_out_of_range_is_refused_by_the_name_of_its_field(
    fields: dict[str, Any], named: str
) -> None:
    with pytest.raises(SlicingError) as caught:
        Recipe(**fields)
    assert caught.value.reason is SlicingReason.FIELD_INVALID
    assert caught.value.metadata["field"] == named
    assert caught.value.advice


def test_a_recipe_survives_json() -> None:
    for recipe in (
        Recipe(method=Method.RATE, beta=0.25, steps=0, seed=3),
        Recipe(criterion=Criterion.LEGO, adaptation=Adaptation.DISTIL, budget_latency_ms=2.5),
    ):
        assert Recipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe


def test_unknown_fields_and_methods_of_a_recipe_are_refused() -> None:
    for data in ({"method": "magic"}, {}, {"method": "rate", "colour": 1}, {"criterion": "no"}):
        with pytest.raises(SlicingError):
            Recipe.from_json(data)


def test_a_class_weighs_twice_the_sum_of_all_others() -> None:
    labels = np.array([0, 0, 1, 2, 2, 2], dtype=np.int64)
    weights = class_weights(labels, [0])
    assert weights.sum() == pytest.approx(1.0)
    assert weights[labels == 0].sum() == pytest.approx(2 * weights[labels != 0].sum())


def test_a_lonely_class_gets_all_the_weight() -> None:
    np.testing.assert_allclose(class_weights(np.zeros(4, dtype=np.int64), [0]), 0.25)


def test_balanced_weights_make_up_for_unequal_counts() -> None:
    labels = np.array([5, 5, 5, 1], dtype=np.int64)
    weights = balanced_weights(labels)
    assert weights[labels == 5].sum() == pytest.approx(0.5)
    assert weights[labels == 1].sum() == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("inputs", "labels"),
    [
        ({"x": np.zeros((3, 2))}, np.zeros(2, dtype=np.int64)),
        ({"x": np.zeros((2, 2))}, np.zeros(2, dtype=np.int32)),
        ({"x": np.zeros((2, 2))}, np.zeros((2, 1), dtype=np.int64)),
        ({"x": np.zeros((0, 2))}, np.zeros(0, dtype=np.int64)),
        ({}, np.zeros(2, dtype=np.int64)),
    ],
)
def test_samples_that_do_not_fit_together_are_refused(inputs: Any, labels: Any) -> None:
    with pytest.raises(SlicingError) as caught:
        Samples(inputs, labels)
    assert caught.value.reason is SlicingReason.SAMPLES_MISMATCH


def test_a_class_is_sliced_with_all_of_its_own_samples_and_some_of_every_other() -> None:
    labels = np.repeat(np.arange(40), 5)
    pool = class_pool(labels, [7])
    found = labels[pool]
    assert (np.diff(pool) > 0).all()
    assert (found == 7).sum() == 5
    others = np.bincount(found, minlength=40)[np.arange(40) != 7]
    assert others.sum() == REST
    assert set(others) == {1, 2}


def test_a_class_of_a_small_model_is_sliced_with_all_samples() -> None:
    labels = np.repeat(np.arange(3), 20)
    assert np.array_equal(class_pool(labels, [1]), np.arange(60))
