from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.paper.result import decode, encode
from benchmarks.paper.statistics import accuracy, paired_difference

Right = NDArray[np.bool_]


def drawn(shares: tuple[float, ...], draws: int, examples: int, seed: int) -> list[Right]:
    random = np.random.default_rng(seed)
    return [random.random((draws, examples)) < share for share in shares]


def test_the_difference_of_a_method_to_itself_is_nothing() -> None:
    ours = drawn((0.8, 0.6), 3, 100, 0)
    found = paired_difference([ours], [ours])
    assert (found.mean, found.low, found.high) == (0.0, 0.0, 0.0)


def test_targets_count_the_same_whatever_their_size() -> None:
    correct = [np.ones((1, 10), dtype=np.bool_), np.zeros((1, 1000), dtype=np.bool_)]
    assert accuracy(correct) == 0.5


def test_the_interval_holds_the_mean_and_narrows_with_more_examples() -> None:
    few = paired_difference([drawn((0.9,), 2, 50, 1)], [drawn((0.8,), 2, 50, 2)])
    many = paired_difference([drawn((0.9,), 2, 5000, 1)], [drawn((0.8,), 2, 5000, 2)])
    assert few.low <= few.mean <= few.high
    assert many.low > 0
    assert many.high - many.low < (few.high - few.low) / 3


def test_the_interval_of_independent_examples_is_the_usual_one() -> None:
    ours, theirs = drawn((0.9,), 1, 4000, 3), drawn((0.9,), 1, 4000, 4)
    found = paired_difference([ours], [theirs])
    error = (ours[0].astype(float) - theirs[0].astype(float)).std() / np.sqrt(4000)
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.1)


def test_seeds_that_differ_widen_the_interval() -> None:
    theirs = [np.zeros((2, 1000), dtype=np.bool_)]
    alike = [[np.tile(np.arange(1000) < 500, (2, 1))] for _ in range(3)]
    apart = [[np.tile(np.arange(1000) < 500 + 200 * seed, (2, 1))] for seed in (-1, 0, 1)]
    narrow = paired_difference(alike, [theirs] * 3)
    wide = paired_difference(apart, [theirs] * 3)
    assert wide.mean == pytest.approx(narrow.mean)
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)


def test_runs_on_other_draws_are_not_compared() -> None:
    with pytest.raises(ValueError, match="different draws"):
        paired_difference([drawn((0.5,), 2, 10, 0)], [drawn((0.5,), 3, 10, 0)])


def test_right_answers_come_back_from_their_bits() -> None:
    correct = drawn((0.7, 0.3), 4, 37, 5)
    found = decode(encode(correct), [37, 37])
    for before, after in zip(correct, found, strict=True):
        np.testing.assert_array_equal(before, after)
