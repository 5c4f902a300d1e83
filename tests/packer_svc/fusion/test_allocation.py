"""Sharing a budget: against every choice there is, on small cases."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packer_svc.fusion.allocation import Choice, allocate, least_cost

Choices = Sequence[Sequence[Choice]]

COSTS = st.integers(0, 20).map(float)
FRAGMENT = st.lists(st.builds(Choice, COSTS, COSTS), min_size=1, max_size=5)
FRAGMENTS = st.lists(FRAGMENT, min_size=1, max_size=4)


def cost_of(choices: Choices, places: Sequence[int]) -> float:
    return sum(one[place].cost for one, place in zip(choices, places, strict=True))


def loss_of(choices: Choices, places: Sequence[int]) -> float:
    return sum(one[place].loss for one, place in zip(choices, places, strict=True))


def best_loss(choices: Choices, budget: float) -> float | None:
    """The least loss of all choices that keep to the budget."""
    every = product(*(range(len(one)) for one in choices))
    losses = [loss_of(choices, places) for places in every if cost_of(choices, places) <= budget]
    return min(losses, default=None)


def relaxed_loss(choices: Choices, budget: float) -> float:
    """The least loss if fragments could also be mixtures of two sizes, by dual ascent."""
    slopes = {0.0}
    for one in choices:
        for a, b in product(one, one):
            if b.cost > a.cost and a.loss > b.loss:
                slopes.add((a.loss - b.loss) / (b.cost - a.cost))
    return max(
        sum(min(choice.loss + slope * choice.cost for choice in one) for one in choices)
        - slope * budget
        for slope in slopes
    )


@settings(max_examples=300, deadline=None)
@given(FRAGMENTS, st.integers(0, 60).map(float))
def test_no_budget_is_broken_and_none_is_refused_that_can_be_met(
    choices: Choices, budget: float
) -> None:
    found = allocate(choices, budget)
    best = best_loss(choices, budget)
    assert (found is None) == (best is None) == (least_cost(choices) > budget)
    if found is not None and best is not None:
        assert cost_of(choices, found) <= budget
        assert loss_of(choices, found) >= best


@settings(max_examples=300, deadline=None)
@given(FRAGMENTS, st.integers(0, 60).map(float))
def test_what_is_lost_beyond_the_best_is_less_than_one_fragments_step(
    choices: Choices, budget: float
) -> None:
    found = allocate(choices, budget)
    if found is None:
        return
    widest = max(max(c.loss for c in one) - min(c.loss for c in one) for one in choices)
    assert loss_of(choices, found) <= relaxed_loss(choices, budget) + widest + 1e-9


@settings(max_examples=300, deadline=None)
@given(FRAGMENTS, st.integers(0, 60).map(float))
def test_nothing_that_is_left_could_buy_more(choices: Choices, budget: float) -> None:
    found = allocate(choices, budget)
    if found is None:
        return
    left = budget - cost_of(choices, found)
    for one, place in zip(choices, found, strict=True):
        better = [c for c in one if c.loss < one[place].loss]
        assert all(c.cost - one[place].cost > left for c in better if c.cost > one[place].cost)


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 4), st.data())
def test_at_a_corner_of_the_common_hull_no_choice_is_better(
    count: int, data: st.DataObject
) -> None:
    # Convex fronts, a whole number of equal steps: the greedy choice is the best one.
    choices = []
    for _ in range(count):
        falls = sorted(data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=4)), reverse=True)
        losses = [sum(falls[place:]) for place in range(len(falls) + 1)]
        choices.append([Choice(float(place), float(loss)) for place, loss in enumerate(losses)])
    budget = float(data.draw(st.integers(0, 12)))
    found = allocate(choices, budget)
    assert found is not None
    assert loss_of(choices, found) == best_loss(choices, budget)


def test_the_fragment_that_wins_more_per_cost_is_served_first() -> None:
    strong = [Choice(1.0, 0.1), Choice(2.0, 0.05), Choice(3.0, 0.0)]
    fragile = [Choice(1.0, 0.9), Choice(2.0, 0.4), Choice(3.0, 0.0)]
    assert allocate([strong, fragile], 4.0) == [0, 2]
    assert allocate([fragile, strong], 5.0) == [2, 1]


def test_what_is_left_buys_sizes_that_no_hull_has() -> None:
    # (2, 8) lies above the line from (1, 9) to (6, 0).
    assert allocate([[Choice(1.0, 9.0), Choice(2.0, 8.0), Choice(6.0, 0.0)]], 3.0) == [1]


def test_a_size_that_costs_more_and_loses_more_is_never_bought() -> None:
    assert allocate([[Choice(1.0, 1.0), Choice(2.0, 5.0)]], 9.0) == [0]


def test_a_budget_that_is_met_exactly_is_met() -> None:
    choices = [[Choice(0.1, 1.0)], [Choice(0.2, 1.0)]]
    assert allocate(choices, 0.3) == [0, 0]
    assert allocate(choices, 0.29) is None


@pytest.mark.parametrize("budget", [0.0, 100.0])
def test_of_equal_fragments_the_first_is_served_first(budget: float) -> None:
    one = [Choice(0.0, 4.0), Choice(2.0, 0.0)]
    assert allocate([one, one, one], 4.0) == [1, 1, 0]
    assert allocate([one, one, one], budget) == ([0, 0, 0] if budget == 0 else [1, 1, 1])
