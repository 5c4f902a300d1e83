"""How figures are written and where they are drawn."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from packer_svc.report import figures
from packer_svc.report.plots.grain import grain
from packer_svc.report.plots.strips import LogAxis, ratio_strip, share_strip


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (2.34e-7, "2.3·10⁻⁷"),
        (1e-4, "10⁻⁴"),
        (0.0421, "0.0421"),
        (math.inf, "∞"),
        (math.nan, "–"),
        (None, "–"),
    ],
)
def test_small_figures_are_written_as_people_write_them(number: float | None, text: str) -> None:
    assert figures.small(number) == text


@pytest.mark.parametrize(
    ("number", "text"), [(512, "512 bytes"), (1536, "1.5 KiB"), (5 * 2**40, "5,120.0 GiB")]
)
def test_sizes_have_the_unit_that_suits(number: float, text: str) -> None:
    assert figures.size(number) == text


def test_a_ratio_to_nothing_is_no_ratio() -> None:
    assert figures.ratio(1, 0) == figures.ratio(None, 2) == figures.ratio(1, None) == "–"
    assert [figures.ratio(one, 40) for one in (50, 16, 1)] == ["1.25", "0.40", "0.025"]


@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_intervals_are_wilsons(case: tuple[int, int]) -> None:
    right, samples = case
    expected = binomtest(right, samples).proportion_ci(0.95, method="wilson")
    low, high = figures.wilson(right, samples)
    assert low == pytest.approx(expected.low, abs=2e-5)
    assert high == pytest.approx(expected.high, abs=2e-5)


@given(st.lists(st.floats(1e-12, 1e6), min_size=1, max_size=20))
def test_every_value_has_its_place_on_the_axis_in_order(values: list[float]) -> None:
    axis = LogAxis.over(values)
    places = [axis.place(value) for value in sorted(values)]
    assert places == sorted(places)
    assert all(0 < place <= 100 for place in places)
    assert 2 <= len(axis.ticks()) <= 7


def test_what_is_beyond_an_axis_stands_at_its_end() -> None:
    axis = LogAxis(-6, 0)
    assert (axis.place(0.0), axis.place(1e-9), axis.place(math.inf)) == (0.0, 0.0, 100.0)
    assert axis.place(1e-3) == pytest.approx(50.0)


def test_bars_end_where_their_figure_is() -> None:
    assert 'width="25.00%"' in share_strip(0.25)
    assert "bar" not in share_strip(None)
    assert 'class="bar over" width="100.00%"' in ratio_strip(2.0, 2.0)
    assert 'class="bar" width="25.00%"' in ratio_strip(0.5, 2.0)


def test_classes_that_share_a_cell_are_added_up() -> None:
    counts = [[0] * 150 for _ in range(150)]
    for place in range(150):
        counts[place][place] = 3
    counts[0][149] = 1
    picture, classes_a_cell = grain(counts)
    assert classes_a_cell == 2
    assert picture.count("h1v1h-1z") == 75 + 1
    assert 'class="wrong"' in picture
    assert grain(counts[:100])[1] == 1
