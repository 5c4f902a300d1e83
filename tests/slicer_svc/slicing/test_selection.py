import numpy as np
import pytest
from scipy.stats import truncnorm

from slicer_svc.slicing.selection import (
    fit_truncated_normal,
    kept_count,
    select_by_plain_threshold,
    select_by_rate,
    select_by_threshold,
)


@pytest.mark.parametrize(
    ("units", "share", "count"),
    [(10, 0.5, 5), (7, 0.5, 4), (1, 0.5, 1), (64, 1e-6, 1), (10, 0.7, 7), (3, 1.0, 3)],
)
def test_a_share_is_rounded_up_to_whole_units(units: int, share: float, count: int) -> None:
    assert kept_count(units, share) == count


def test_the_rate_keeps_the_most_active_units_in_rising_order() -> None:
    activation = np.array([0.1, 0.9, 0.0, 0.5, 0.9])
    assert select_by_rate(activation, 2).tolist() == [1, 4]
    assert select_by_rate(activation, 3).tolist() == [1, 3, 4]


def test_the_fit_finds_a_truncated_normal_again() -> None:
    law = truncnorm(-0.4 / 0.2, 0.6 / 0.2, loc=0.4, scale=0.2)
    shares = law.ppf((np.arange(400) + 0.5) / 400)
    mean, sd = fit_truncated_normal(shares)
    assert mean == pytest.approx(0.4, abs=0.02)
    assert sd == pytest.approx(0.2, abs=0.02)


def test_the_threshold_keeps_about_beta_of_normally_spread_units() -> None:
    law = truncnorm(-0.5 / 0.2, 0.5 / 0.2, loc=0.5, scale=0.2)
    shares = law.ppf((np.arange(200) + 0.5) / 200)
    for beta in (0.25, 0.5, 0.75):
        assert len(select_by_threshold(shares, beta)) == pytest.approx(200 * beta, abs=12)


def test_the_threshold_keeps_few_units_where_few_stand_out() -> None:
    activation = np.concatenate([np.linspace(0.0, 0.05, 28), [0.9, 1.0, 0.95, 0.85]])
    kept = select_by_threshold(activation, 0.5)
    assert set(range(28, 32)) <= set(kept.tolist())
    assert len(kept) < 16


@pytest.mark.parametrize("activation", [[0.0, 0.0, 0.0, 0.0], [0.3, 0.3, 0.3, 0.3]])
def test_the_rate_decides_where_activations_do_not_spread(activation: list[float]) -> None:
    assert select_by_threshold(np.array(activation), 0.5).tolist() == [0, 1]


def test_a_group_of_one_unit_keeps_it() -> None:
    assert select_by_threshold(np.array([0.7]), 0.1).tolist() == [0]
    assert select_by_threshold(np.array([0.0]), 0.1).tolist() == [0]


def test_at_least_one_unit_is_above_any_threshold() -> None:
    assert len(select_by_threshold(np.array([0.2, 0.5, 1.0]), 1e-9)) == 1


def test_the_plain_threshold_keeps_what_exceeds_one_minus_beta_of_the_largest() -> None:
    activation = np.array([2.0, 0.9, 1.1, 0.0, 1.0])
    assert select_by_plain_threshold(activation, 0.5).tolist() == [0, 2]
    assert select_by_plain_threshold(activation, 0.6).tolist() == [0, 1, 2, 4]
    assert select_by_plain_threshold(activation, 1e-9).tolist() == [0]


def test_the_plain_threshold_keeps_one_unit_of_a_dead_layer() -> None:
    assert select_by_plain_threshold(np.zeros(4), 1.0).tolist() == [0]
