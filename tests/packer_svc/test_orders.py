"""Orders of a size: what they choose, and what they do about packs that are too slow."""

from __future__ import annotations

import pytest
from sliceandpack.slicer.v1.plans_pb2 import FrontPoint

from packer_svc.sizing import BudgetKind, Front, Order, TooSlowError
from svckit.errors import InvalidArgument


def front(*latencies: float, classes: int = 1) -> Front:
    """Sizes that cost a hundred times their milliseconds, and lose less the more they cost."""
    points = [
        FrontPoint(
            size=time / 10, macs=round(100 * time), latency_ms=time, predicted_error=1 / (1 + time)
        )
        for time in latencies
    ]
    return Front(points, scores=0, classes=classes)


def of_time(milliseconds: float) -> Order:
    return Order(BudgetKind.LATENCY_MS, milliseconds, unit=1.0, outputs=2)


def times(points: list[FrontPoint]) -> list[float]:
    return [point.latency_ms for point in points]


def test_a_branch_of_more_classes_is_given_more() -> None:
    alone, trunk = front(1.0, 2.0, 3.0), front(1.0, 2.0, 3.0, classes=3)
    assert times(of_time(4.0).choose([alone, alone])) == [2.0, 2.0]
    assert times(of_time(4.0).choose([alone, trunk])) == [1.0, 3.0]


def test_a_trunk_is_paid_for_once() -> None:
    order = Order(BudgetKind.MACS, 0.5, unit=600.0, outputs=2)
    [point] = order.choose([front(1.0, 3.0, classes=5)])
    assert point.macs == 300


@pytest.mark.parametrize("measured", [2.0, 4.0, 4.4])
def test_a_pack_within_the_tolerance_is_taken(measured: float) -> None:
    of_time(4.0).require(measured)


def test_only_an_order_of_time_is_measured() -> None:
    Order(BudgetKind.MACS, 0.5, unit=600.0, outputs=2).require(1e9)


def tried(order: Order, fronts: list[Front], measured: float) -> Order:
    """The order after the pack that it would be was too slow."""
    with pytest.raises(TooSlowError) as slow:
        order.require(measured)
    return order.after(order.choose(fronts), slow.value)


def test_a_pack_that_is_too_slow_is_planned_smaller_by_as_much() -> None:
    fronts = [front(1.0, 1.5, 2.0, 3.0, 4.0)] * 2
    order = of_time(6.0)
    assert sum(times(order.choose(fronts))) == 6.0
    again = tried(order, fronts, measured=9.0)
    assert again.limit == pytest.approx(4.0)
    assert sum(times(again.choose(fronts))) == 4.0
    # What was asked for is told with what did not meet it.
    told = again.told([], [])
    assert told["asked"] == {"kind": "latency_ms", "value": 6.0}
    assert told["too_slow"] == [{"predicted": 6.0, "measured": 9.0}]
    # The budget itself stays.
    again.require(6.5)


def test_the_smallest_pack_is_tried_where_even_less_would_be_planned() -> None:
    fronts = [front(2.0, 3.0)] * 2
    again = tried(of_time(6.0), fronts, measured=12.0)
    assert times(again.choose(fronts)) == [2.0, 2.0]


def test_nothing_smaller_is_refused_with_the_quickest_that_was_made() -> None:
    fronts = [front(2.0, 3.0)] * 2
    again = tried(tried(of_time(6.0), fronts, measured=12.0), fronts, measured=8.00001)
    with pytest.raises(InvalidArgument) as refused:
        again.choose(fronts)
    assert refused.value.reason_name == "BUDGET_UNREACHABLE"
    assert refused.value.metadata == {"budget": "6.000000", "least": "8.0001", "kind": "latency_ms"}
    assert "of 2 packs that were made the quickest takes 8.0001 ms" in refused.value.message
    assert "at least 8.0001" in refused.value.advice


def test_the_third_pack_that_is_too_slow_is_the_last() -> None:
    fronts = [front(*(0.1 * place for place in range(1, 60)))]
    order = of_time(5.0)
    order = tried(tried(order, fronts, measured=10.0), fronts, measured=7.0)
    with pytest.raises(InvalidArgument) as refused:
        tried(order, fronts, measured=8.0)
    assert refused.value.metadata["least"] == "7.0000"


def test_a_budget_that_no_prediction_meets_is_refused_before_anything_is_made() -> None:
    with pytest.raises(InvalidArgument) as refused:
        of_time(3.0).choose([front(2.0, 3.0)] * 2)
    assert refused.value.metadata["least"] == "4.0000"
    assert "the smallest pack of these classes has" in refused.value.message
