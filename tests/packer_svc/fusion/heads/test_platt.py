from __future__ import annotations

import numpy as np
import pytest

from packer_svc.fusion.heads.platt import Platt, fit_platt


def test_probabilities_are_those_of_the_sources_at_even_odds() -> None:
    random = np.random.default_rng(0)
    negatives, positives = random.normal(-1.0, size=40_000), random.normal(1.0, size=4_000)
    found = fit_platt(negatives, positives)

    # The log ratio of both densities at x is 2x.
    assert found.slope == pytest.approx(2.0, rel=0.03)
    assert found.offset == pytest.approx(0.0, abs=0.05)


def test_scores_of_any_scale_give_the_same_probabilities() -> None:
    random = np.random.default_rng(1)
    negatives, positives = random.normal(size=20), random.normal(1.0, size=30)
    plain = fit_platt(negatives, positives)
    moved = fit_platt(1e6 * negatives - 7e6, 1e6 * positives - 7e6)

    np.testing.assert_allclose(plain(positives), moved(1e6 * positives - 7e6), atol=1e-6)


@pytest.mark.parametrize("count", [1, 20])
def test_sides_that_are_apart_are_told_apart_but_not_beyond_doubt(count: int) -> None:
    found = fit_platt(np.linspace(-1, -2, count), np.linspace(1, 2, count))
    low, high = found(np.array([-1.0, 1.0]))

    assert np.isfinite(found.slope)
    assert 0.0 < low < 0.35
    assert 0.65 < high < 1.0


@pytest.mark.parametrize("positives", [[-1.0, -2.0], [1.0, 1.0]])
def test_a_score_that_says_nothing_is_one_half(positives: list[float]) -> None:
    found = fit_platt(np.array([1.0, 1.0]), np.array(positives))
    assert found == Platt(0.0, 0.0)
    assert found(np.array([3.0])).tolist() == [0.5]


def test_far_scores_overflow_nothing() -> None:
    assert Platt(1e3, 0.0)(np.array([-1e9, 1e9])).tolist() == pytest.approx([0.0, 1.0])
