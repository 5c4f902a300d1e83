import json
from collections.abc import Mapping

import pytest

from slicer_svc.slicing.budget import spend
from slicer_svc.slicing.errors import SlicingError, SlicingReason
from slicer_svc.slicing.plan import Curve, GroupPlan, KeptWhole, Plan
from slicer_svc.slicing.recipe import Recipe

STRONG = Curve("strong", 8, (1, 2, 4, 6), (0.04, 0.02, 0.01, 0.005))
FRAGILE = Curve("fragile", 8, (1, 2, 4, 6), (0.9, 0.7, 0.4, 0.2))


def price(kept: Mapping[str, int]) -> float:
    return (kept["strong"] / 8 + kept["fragile"] / 8) / 2


def plan() -> Plan:
    group = GroupPlan("conv", ("conv",), 8, 4, 80, 40, 800, 400, 320, 160, 0.1)
    return Plan(
        recipe=Recipe(budget_macs=0.5),
        groups=(group,),
        whole=(KeptWhole(("gate",), "its units are read apart"),),
        parameters_before=100,
        parameters_after=60,
        macs_before=1000,
        macs_after=600,
        bytes_before=400,
        bytes_after=240,
        predicted_error=0.1,
        curves=(STRONG,),
    )


def test_a_curve_is_linear_between_its_points_and_free_at_the_whole_group() -> None:
    assert STRONG.error(8) == 0.0
    assert STRONG.error(4) == pytest.approx(0.01)
    assert STRONG.error(3) == pytest.approx(0.015)
    assert STRONG.error(0) == 1.0


def test_a_group_of_one_unit_has_a_curve_too() -> None:
    assert Curve("alone", 1, (), ()).error(1) == 0.0


def test_a_budget_is_taken_from_the_group_that_bears_it() -> None:
    kept = spend([STRONG, FRAGILE], price, 0.6, 1.0)
    assert kept["fragile"] == 8
    assert kept["strong"] < 8
    assert price(kept) <= 0.6


def test_a_budget_is_spent_to_the_last_unit_of_the_last_step() -> None:
    kept = spend([STRONG, FRAGILE], price, 0.8, 1.0)
    assert price(kept) <= 0.8 < price({**kept, "strong": kept["strong"] + 1})


def test_a_whole_budget_cuts_nothing() -> None:
    assert spend([STRONG, FRAGILE], price, 1.0, 0.5) == {"strong": 8, "fragile": 8}


def test_the_smallest_budget_cuts_all_groups_to_their_lowest_point() -> None:
    assert spend([STRONG, FRAGILE], price, 0.125, 1.0) == {"strong": 1, "fragile": 1}


def test_an_unreachable_budget_is_refused_with_the_smallest_share() -> None:
    with pytest.raises(SlicingError) as caught:
        spend([STRONG, FRAGILE], price, 0.1, 1.0)
    assert caught.value.reason is SlicingReason.BUDGET_UNREACHABLE
    assert "0.1250" in caught.value.message
    assert caught.value.advice


def test_a_plan_survives_json() -> None:
    data = json.loads(json.dumps(plan().to_json()))
    assert Plan.from_json(data) == plan()


@pytest.mark.parametrize("field", ["recipe", "groups", "curves", "macs_after"])
def test_a_document_that_is_no_plan_is_refused(field: str) -> None:
    data = plan().to_json()
    del data[field]
    with pytest.raises(SlicingError) as caught:
        Plan.from_json(data)
    assert caught.value.reason is SlicingReason.FIELD_INVALID
