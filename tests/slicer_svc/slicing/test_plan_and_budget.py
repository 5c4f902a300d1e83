import json
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from slicer_svc.slicing.budget import Purse, levels, spend
from slicer_svc.slicing.errors import SlicingError, SlicingReason
from slicer_svc.slicing.plan import Curve, GroupPlan, KeptWhole, Latency, Plan
from slicer_svc.slicing.pricing import Pricing
from slicer_svc.slicing.recipe import Recipe

STRONG = Curve("strong", 8, (1, 2, 4, 6), (0.04, 0.02, 0.01, 0.005))
FRAGILE = Curve("fragile", 8, (1, 2, 4, 6), (0.9, 0.7, 0.4, 0.2))
NO_BLOCKS = {"strong": 1, "fragile": 1}
PRICING = Pricing(
    weights=np.array([1.0, 1.0]),
    shares=np.array([[[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]]]),
    units=np.array([8, 8]),
    grains=np.array([1, 1]),
)


def price(kept: Mapping[str, int]) -> float:
    return (kept["strong"] / 8 + kept["fragile"] / 8) / 2


def spent(
    budget: float, exponent: float = 1.0, grains: Mapping[str, int] = NO_BLOCKS
) -> dict[str, int]:
    return spend([STRONG, FRAGILE], Purse(PRICING, budget, exponent, grains))


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
        latency=Latency("a processor", 2.5, 0.5),
    )


def test_a_curve_is_linear_between_its_points_and_free_at_the_whole_group() -> None:
    assert STRONG.error(8) == 0.0
    assert STRONG.error(4) == pytest.approx(0.01)
    assert STRONG.error(3) == pytest.approx(0.015)
    assert STRONG.error(0) == 1.0


def test_a_group_of_one_unit_has_a_curve_too() -> None:
    assert Curve("alone", 1, (), ()).error(1) == 0.0


def test_a_budget_is_taken_from_the_group_that_bears_it() -> None:
    kept = spent(0.6)
    assert kept["fragile"] == 8
    assert kept["strong"] < 8
    assert price(kept) <= 0.6


def test_a_budget_is_spent_to_the_last_unit_of_the_last_step() -> None:
    kept = spent(0.8)
    assert price(kept) <= 0.8 < price({**kept, "strong": kept["strong"] + 1})


def test_a_whole_budget_cuts_nothing() -> None:
    assert spent(1.0, 0.5) == {"strong": 8, "fragile": 8}


def test_the_smallest_budget_cuts_all_groups_to_their_lowest_point() -> None:
    assert spent(0.125) == {"strong": 1, "fragile": 1}


def test_an_unreachable_budget_is_refused_with_the_smallest_share() -> None:
    with pytest.raises(SlicingError) as caught:
        spent(0.1)
    assert caught.value.reason is SlicingReason.BUDGET_UNREACHABLE
    assert "0.1250" in caught.value.message
    assert caught.value.advice


def test_the_share_that_a_refusal_advises_can_be_reached() -> None:
    thirds = Curve("thirds", 3, (1, 2), (0.5, 0.1))
    one = np.array([[[1.0, 0.0]]])
    pricing = Pricing(np.ones(1), one, np.array([3]), np.array([1]))
    with pytest.raises(SlicingError) as caught:
        spend([thirds], Purse(pricing, 0.3, 1.0, {"thirds": 1}))
    least = float(caught.value.metadata["least"])
    assert spend([thirds], Purse(pricing, least, 1.0, {"thirds": 1})) == {"thirds": 1}


def test_in_blocks_only_multiples_or_whole_groups_are_kept() -> None:
    grains = {"strong": 4, "fragile": 16}
    assert spent(0.8, grains=grains) == {"strong": 4, "fragile": 8}
    assert levels(STRONG, 3).tolist() == [3, 6, 8]
    assert levels(Curve("alone", 1, (), ()), 4).tolist() == [1]


def test_what_a_coarse_block_leaves_goes_to_finer_groups() -> None:
    # Nobody can make use of the last eighth but the group without blocks.
    assert spent(0.65, grains={"strong": 4, "fragile": 1}) == {"strong": 4, "fragile": 6}


_GROUPS = st.lists(
    st.tuples(st.integers(2, 40), st.integers(1, 8), st.floats(0.01, 1.0)), min_size=1, max_size=6
)


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)
@given(groups=_GROUPS, budget=st.floats(0.05, 1.0), exponent=st.sampled_from([0.5, 1.0]))
def test_any_budget_holds_in_blocks_and_leaves_no_room_for_one_more(
    groups: list[tuple[int, int, float]], budget: float, exponent: float
) -> None:
    chain, curves, pricing = _chain(groups)
    grains = {curve.group: grain for curve, (_, grain, _) in zip(curves, groups, strict=True)}
    try:
        kept = spend(curves, Purse(pricing, budget, exponent, grains))
    except SlicingError:
        return
    counts = [kept[curve.group] for curve in curves]
    assert _chain_cost(counts) <= budget * _chain_cost(chain) + 1e-9
    for place, (curve, count) in enumerate(zip(curves, counts, strict=True)):
        grain = grains[curve.group]
        assert count == curve.units or (count % grain == 0 and count >= 1)
        if count < curve.units:
            more = [*counts]
            more[place] = min(count + grain, curve.units)
            assert _chain_cost(more) > budget * _chain_cost(chain) - 1e-9


def _chain(groups: list[tuple[int, int, float]]) -> tuple[list[int], list[Curve], Pricing]:
    """Dense layers one behind the other, whose every matrix has a group on either side."""
    units = [units for units, _, _ in groups]
    curves = []
    for place, (size, _, worst) in enumerate(groups):
        kept = tuple(sorted({max(1, size * eighth // 8) for eighth in range(1, 8)}))
        errors = tuple(worst * (1 - count / size) for count in kept)
        curves.append(Curve(str(place), size, kept, errors))
    shares = np.zeros((len(units) + 1, 2, len(units) + 1))
    shares[0, 0, -1] = shares[-1, 1, -1] = 1.0
    for place in range(len(units)):
        shares[place, 1, place] = shares[place + 1, 0, place] = 1.0
    weights = np.array([a * b for a, b in zip([3, *units], [*units, 2], strict=True)], dtype=float)
    ones = np.ones(len(units), dtype=np.int64)
    return units, curves, Pricing(weights, shares, np.array(units), ones)


def _chain_cost(counts: list[int]) -> float:
    return float(sum(a * b for a, b in zip([3, *counts], [*counts, 2], strict=True)))


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
