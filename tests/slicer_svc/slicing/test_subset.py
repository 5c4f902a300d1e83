import numpy as np
import pytest
from numpy.typing import NDArray

from slicer_svc.slicing.subset import Target, greedy_columns


def target(activations: NDArray[np.float64], metric: NDArray[np.float64] | None = None) -> Target:
    units = activations.shape[1]
    return Target(activations.T @ activations, np.eye(units) if metric is None else metric)


def unexplained(goal: Target, kept: NDArray[np.int64]) -> float:
    gram, chosen = goal.gram, goal.gram[:, kept]
    damping = 1e-6 * np.trace(gram) / len(gram)
    inner = gram[np.ix_(kept, kept)] + damping * np.eye(len(kept))
    return float(np.sum(goal.metric * (gram - chosen @ np.linalg.solve(inner, chosen.T))))


def test_every_step_takes_the_unit_that_leaves_the_least_unexplained() -> None:
    random = np.random.default_rng(0)
    weight = random.normal(size=(5, 12))
    goal = target(random.normal(size=(40, 12)) @ random.normal(size=(12, 12)), weight.T @ weight)
    order = greedy_columns([goal], 6)
    for step in range(6):
        before = list(order[:step])
        rest = [unit for unit in range(12) if unit not in before]
        best = min(rest, key=lambda unit: unexplained(goal, np.array([*before, unit])))
        assert order[step] == best


def test_units_that_the_consumer_ignores_are_not_chosen() -> None:
    random = np.random.default_rng(1)
    metric = np.zeros((6, 6))
    metric[2, 2] = metric[5, 5] = 1.0
    activations = random.normal(size=(50, 6)) * np.array([9.0, 9.0, 1.0, 9.0, 9.0, 1.0])
    assert set(greedy_columns([target(activations, metric)], 2)) == {2, 5}


def test_a_copy_of_a_chosen_unit_waits_until_nothing_else_is_left() -> None:
    random = np.random.default_rng(2)
    base = random.normal(size=(50, 3))
    activations = np.concatenate([base, base], axis=1)
    order = greedy_columns([target(activations)], 3)
    assert sorted(unit % 3 for unit in order) == [0, 1, 2]
    assert len(set(greedy_columns([target(activations)], 6))) == 6


def test_dead_units_come_last() -> None:
    random = np.random.default_rng(3)
    activations = random.normal(size=(50, 5))
    activations[:, [0, 3]] = 0.0
    assert set(greedy_columns([target(activations)], 3)) == {1, 2, 4}
    assert set(greedy_columns([target(activations)], 4)) == {0, 1, 2, 4}


def test_an_all_dead_layer_keeps_its_first_units() -> None:
    assert greedy_columns([target(np.zeros((4, 3)))], 2).tolist() == [0, 1]


def test_fewer_samples_than_units_still_give_the_full_count() -> None:
    activations = np.random.default_rng(4).normal(size=(2, 9))
    order = greedy_columns([target(activations)], 7)
    assert len(set(order.tolist())) == 7


@pytest.mark.parametrize("count", [1, 3, 6])
def test_a_smaller_choice_is_a_prefix_of_a_larger_one(count: int) -> None:
    activations = np.random.default_rng(5).normal(size=(30, 8))
    goal = target(activations)
    assert greedy_columns([goal], count).tolist() == greedy_columns([goal], 8)[:count].tolist()


def test_a_unit_counts_for_all_of_its_consumers() -> None:
    random = np.random.default_rng(6)
    activations = random.normal(size=(60, 4))
    first, second = np.zeros((4, 4)), np.zeros((4, 4))
    first[0, 0] = 1e6  # Consumers weigh alike whatever the size of their numbers.
    second[3, 3] = 1e-6
    goals = [target(activations, first), target(activations, second)]
    assert set(greedy_columns(goals, 2)) == {0, 3}
