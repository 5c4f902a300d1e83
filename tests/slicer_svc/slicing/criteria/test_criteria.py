from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from slicer_svc.slicing.criteria.evidence import Evidence
from slicer_svc.slicing.criteria.table import CRITERIA, choose_units
from slicer_svc.slicing.network import Network
from slicer_svc.slicing.recipe import Criterion, Recipe
from slicer_svc.slicing.repairs import Units
from slicer_svc.slicing.samples import Samples
from tests.helpers.evidence import evidence_of
from tests.helpers.small_classifiers import CHAIN, RESIDUAL, images, model_of

DENSE = """
dense (float[batch, 3] x) => (float[batch, 3] scores)
  <float[6, 3] w0, float[6] b0, float[3, 6] w1, float[3] b1>
{
  hidden = Gemm <transB = 1> (x, w0, b0)
  active = Relu (hidden)
  scores = Gemm <transB = 1> (active, w1, b1)
}
"""
"""One hidden layer of six units."""

Arrays = Mapping[str, NDArray[Any]]

ONE_UNIT_EACH: Arrays = {
    "w0": np.concatenate([np.eye(3), np.zeros((3, 3))]).astype(np.float32),
    "b0": np.zeros(6, dtype=np.float32),
    "w1": np.concatenate([2.0 * np.eye(3), np.ones((3, 3))], axis=1).astype(np.float32),
    "b1": np.zeros(3, dtype=np.float32),
}
"""Unit j stands for class j; units 3 to 5 are dead."""


def noisy_corners(per_class: int = 8) -> Samples:
    """Points near the three unit vectors, class by class."""
    random = np.random.default_rng(0)
    labels = np.tile(np.arange(3, dtype=np.int64), per_class)
    points = np.eye(3)[labels] + 0.1 * np.abs(random.normal(size=(len(labels), 3)))
    return Samples({"x": points.astype(np.float32)}, labels)


def order(criterion: Criterion, evidence: Evidence) -> Mapping[str, Units]:
    """All units of every group but the worst, best first."""
    groups = evidence.case.network.groups
    return CRITERIA[criterion](evidence, {group.id: group.units - 1 for group in groups})


def evidence(
    text: str, samples: Samples, target: int = 1, arrays: Arrays = MappingProxyType({})
) -> Evidence:
    network = Network.of(model_of(text, 0, **arrays))
    return evidence_of(network, samples, target, Recipe(steps=3))


def test_every_criterion_of_a_recipe_is_there() -> None:
    assert set(CRITERIA) == set(Criterion)


@pytest.mark.parametrize("criterion", Criterion)
@pytest.mark.parametrize("text", [CHAIN, RESIDUAL])
def test_a_choice_has_the_counts_asked_for_and_is_the_same_twice(
    text: str, criterion: Criterion
) -> None:
    choices = []
    for _ in range(2):
        recipe = Recipe(criterion=criterion, steps=3)
        known = evidence_of(Network.of(model_of(text)), images(6), 1, recipe)
        counts = {group.id: group.units // 2 for group in known.case.network.groups}
        choices.append(choose_units(known, counts))
    for group, count in counts.items():
        units = choices[0][group]
        assert len(set(units.tolist())) == count
        assert (np.diff(units) > 0).all()
        np.testing.assert_array_equal(units, choices[1][group])


@pytest.mark.parametrize("criterion", [one for one in Criterion if one is not Criterion.LEGO])
def test_a_shorter_order_begins_a_longer_one(criterion: Criterion) -> None:
    known = evidence(CHAIN, images(6))
    groups = known.case.network.groups
    longer = CRITERIA[criterion](known, {group.id: group.units - 1 for group in groups})
    shorter = CRITERIA[criterion](known, {group.id: 2 for group in groups})
    for group in groups:
        np.testing.assert_array_equal(shorter[group.id], longer[group.id][:2])


@pytest.mark.parametrize(
    "criterion",
    [
        Criterion.ACTIVATION_NORM,
        Criterion.POOLED_ACTIVATION_NORM,
        Criterion.CLASS_TAYLOR,
        Criterion.VARIANCE,
        Criterion.SUBSET,
        Criterion.SUBSET_IDENTITY,
        Criterion.CLASSIFIER_NORM,
        Criterion.LEARNED_MASK,
    ],
)
def test_dead_units_come_last(criterion: Criterion) -> None:
    known = evidence(DENSE, noisy_corners(), arrays=ONE_UNIT_EACH)
    (units,) = order(criterion, known).values()
    assert set(units[:3].tolist()) == {0, 1, 2}


@pytest.mark.parametrize(
    "criterion", [Criterion.ACTIVATION_NORM, Criterion.POOLED_ACTIVATION_NORM, Criterion.LEGO]
)
@pytest.mark.parametrize("target", [0, 1, 2])
def test_the_unit_of_the_class_comes_first(criterion: Criterion, target: int) -> None:
    known = evidence(DENSE, noisy_corners(), target, arrays=ONE_UNIT_EACH)
    (units,) = order(criterion, known).values()
    assert units[0] == target


@pytest.mark.parametrize("criterion", [Criterion.SUBSET, Criterion.SUBSET_IDENTITY])
def test_of_two_units_that_say_the_same_one_is_enough(criterion: Criterion) -> None:
    doubled = {
        **ONE_UNIT_EACH,
        "w0": np.concatenate([np.eye(3), 2.0 * np.eye(3)]).astype(np.float32),
    }
    known = evidence(DENSE, noisy_corners(), arrays=doubled)
    (units,) = order(criterion, known).values()
    assert sorted(unit % 3 for unit in units[:3]) == [0, 1, 2]


def test_in_the_consumers_metric_a_quiet_unit_that_is_read_comes_first() -> None:
    loud_but_unread = {
        **ONE_UNIT_EACH,
        "w0": np.diag([1.0, 9.0, 9.0]).repeat(2, axis=0).astype(np.float32),
        "w1": np.tile(np.array([3, 3, 0, 0, 0, 0], dtype=np.float32), (3, 1)),
    }
    known = evidence(DENSE, noisy_corners(), arrays=loud_but_unread)
    (by_metric,) = order(Criterion.SUBSET, known).values()
    (by_energy,) = order(Criterion.SUBSET_IDENTITY, known).values()
    assert by_metric[0] in (0, 1)
    assert by_energy[0] in (2, 3, 4, 5)


def test_l1_ranks_by_the_size_of_kernels_and_leaves_biases_out() -> None:
    sizes = np.array([3.0, 1.0, 6.0, 2.0, 5.0, 4.0])
    kernels = (sizes[:, None] * np.array([[0.5, -0.25, 0.25]])).astype(np.float32)
    biases = np.array([0, 100, 0, 0, 0, 0], dtype=np.float32)
    known = evidence(DENSE, noisy_corners(), arrays={"w0": kernels, "b0": biases})
    (units,) = order(Criterion.L1, known).values()
    assert units.tolist() == [2, 4, 5, 0, 3]


def test_l1_adds_up_all_layers_that_compute_a_residual_width() -> None:
    network = Network.of(model_of(RESIDUAL))
    coupled = next(group for group in network.groups if group.coupled)
    arrays = network.model.graph.initializers
    expected = np.zeros(coupled.units)
    for name in ("w0", "w2"):
        tensor = arrays[name].const_value
        assert tensor is not None
        expected += np.abs(tensor.numpy()).sum(axis=(1, 2, 3))
    known = evidence(RESIDUAL, images(2))
    np.testing.assert_array_equal(
        order(Criterion.L1, known)[coupled.id], np.argsort(-expected, kind="stable")[:-1]
    )


def test_a_constant_unit_varies_least_however_loud_it_is() -> None:
    loud = {**ONE_UNIT_EACH, "b0": np.array([0, 0, 0, 50, 0, 0], dtype=np.float32)}
    known = evidence(DENSE, noisy_corners(), arrays=loud)
    (by_variance,) = order(Criterion.VARIANCE, known).values()
    assert set(by_variance[:3].tolist()) == {0, 1, 2}
    (by_norm,) = order(Criterion.ACTIVATION_NORM, known).values()
    assert by_norm[0] == 3


def test_the_taylor_expansion_finds_units_that_the_loss_depends_on() -> None:
    unread = {
        **ONE_UNIT_EACH,
        "w0": np.concatenate([np.eye(3), 9.0 * np.eye(3)]).astype(np.float32),
        "w1": np.concatenate([np.eye(3), np.ones((3, 3))], axis=1).astype(np.float32),
    }
    # Units 3 to 5 are loud and raise all classes alike: the softmax does not see them.
    known = evidence(DENSE, noisy_corners(), arrays=unread)
    (units,) = order(Criterion.CLASS_TAYLOR, known).values()
    assert set(units[:3].tolist()) == {0, 1, 2}


def test_lego_follows_the_class_back_through_two_layers() -> None:
    """Unit j of each hidden layer feeds class j alone."""
    text = """
    deep (float[batch, 3] x) => (float[batch, 3] scores)
      <float[3, 3] w0, float[3] b0, float[3, 3] w1, float[3] b1, float[3, 3] w2, float[3] b2>
    {
      hidden0 = Gemm <transB = 1> (x, w0, b0)
      active0 = Relu (hidden0)
      hidden1 = Gemm <transB = 1> (active0, w1, b1)
      active1 = Relu (hidden1)
      scores = Gemm <transB = 1> (active1, w2, b2)
    }
    """
    # The first layer's unit 0 is loud for every class, but only hidden unit 0 reads it.
    arrays = {
        "w0": np.eye(3, dtype=np.float32),
        "b0": np.array([5, 0, 0], dtype=np.float32),
        "w1": np.eye(3, dtype=np.float32),
        "b1": np.zeros(3, dtype=np.float32),
        "w2": np.eye(3, dtype=np.float32),
        "b2": np.array([-5, 0, 0], dtype=np.float32),
    }
    known = evidence(text, noisy_corners(), 2, arrays=arrays)
    counts = {group.id: 1 for group in known.case.network.groups}
    for units in CRITERIA[Criterion.LEGO](known, counts).values():
        assert units.tolist() == [2]


def test_classifier_norm_weighs_spread_with_the_classifiers_own_weights() -> None:
    heavy = {
        **ONE_UNIT_EACH,
        "w0": np.concatenate([np.eye(3), np.eye(3)]).astype(np.float32),
        "w1": np.concatenate([np.eye(3), 3.0 * np.eye(3)], axis=1).astype(np.float32),
    }
    known = evidence(DENSE, noisy_corners(), arrays=heavy)
    (units,) = order(Criterion.CLASSIFIER_NORM, known).values()
    assert set(units[:3].tolist()) == {3, 4, 5}


def test_classifier_norm_is_the_subset_where_something_follows() -> None:
    known = evidence(CHAIN, images(6))
    ours = order(Criterion.CLASSIFIER_NORM, known)
    theirs = order(Criterion.SUBSET, known)
    front, middle, _ = (group.id for group in known.case.network.groups)
    np.testing.assert_array_equal(ours[front], theirs[front])
    np.testing.assert_array_equal(ours[middle], theirs[middle])


def test_units_by_chance_differ_between_classes_and_seeds() -> None:
    network = Network.of(model_of(CHAIN))
    seen = set()
    for target in (0, 1):
        for seed in (0, 1):
            recipe = Recipe(criterion=Criterion.RANDOM, seed=seed)
            known = evidence_of(network, images(2), target, recipe)
            seen.add(tuple(order(Criterion.RANDOM, known)[network.groups[2].id].tolist()))
    assert len(seen) == 4


@pytest.mark.parametrize("criterion", [Criterion.CLASS_TAYLOR, Criterion.LEARNED_MASK])
def test_gradients_leave_nothing_behind_in_the_model(criterion: Criterion) -> None:
    known = evidence(CHAIN, images(3))
    before = [tensor.clone() for tensor in known.case.view.parameters()]
    order(criterion, known)
    for tensor, then in zip(known.case.view.parameters(), before, strict=True):
        assert tensor.grad is None
        assert tensor.equal(then)
