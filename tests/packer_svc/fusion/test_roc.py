from __future__ import annotations

import numpy as np
import pytest

from packer_svc.fusion.roc import MOST_POINTS, roc


def test_the_area_is_how_often_a_positive_has_the_higher_score_ties_by_half() -> None:
    random = np.random.default_rng(0)
    negatives, positives = random.integers(0, 8, 40) / 8, random.integers(2, 11, 25) / 8
    above = (positives[:, None] > negatives).mean() + (positives[:, None] == negatives).mean() / 2

    assert roc(negatives, positives).auc == pytest.approx(above)
    assert roc(positives, negatives).auc == pytest.approx(1 - above)


def test_the_threshold_parts_what_can_be_parted() -> None:
    found = roc(np.array([0.1, 0.2, 0.3]), np.array([0.6, 0.7]))

    assert (found.auc, found.threshold) == (1.0, 0.6)
    assert found.curve.false_positive_rate == (0.0, 0.0, 0.0, 1 / 3, 2 / 3, 1.0)
    assert found.curve.true_positive_rate == (0.0, 0.5, 1.0, 1.0, 1.0, 1.0)


def test_a_score_that_is_one_number_is_worth_nothing() -> None:
    found = roc(np.full(3, 0.5), np.full(4, 0.5))

    assert (found.auc, found.threshold) == (0.5, 0.5)
    assert found.curve.false_positive_rate == found.curve.true_positive_rate == (0.0, 1.0)


def test_a_long_curve_is_shown_by_few_points_with_both_ends() -> None:
    random = np.random.default_rng(0)
    curve = roc(random.normal(size=900), random.normal(1.0, size=700)).curve
    false, true = curve.false_positive_rate, curve.true_positive_rate

    assert len(false) == len(true) == MOST_POINTS
    assert (false[0], true[0], false[-1], true[-1]) == (0.0, 0.0, 1.0, 1.0)
    assert list(false) == sorted(false)
    assert list(true) == sorted(true)
