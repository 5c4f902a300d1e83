"""From a recipe's budget to counts: what is bought, at which price, in which blocks."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from onnxgraph.groups import UnitGroup
from slicer_svc.slicing import blocks, budget
from slicer_svc.slicing.budget import ROUNDING, Purse, least_cost, spend, unreachable
from slicer_svc.slicing.costs import CostModel
from slicer_svc.slicing.latency.model import LatencyModel
from slicer_svc.slicing.plan import Curve
from slicer_svc.slicing.pricing import Pricing, Tally
from slicer_svc.slicing.recipe import Recipe

WELL_SPENT = 0.9
"""The share of a budget that blocks of the machine's choice have to spend."""

_STEPS_OF_LEAST = 1e6
"""Steps of a share or a millisecond that the smallest budget is rounded up to."""


@dataclass(frozen=True, eq=False)
class Spent:
    """What a budget buys.

    Attributes:
        kept: Units kept, by group.
        grains: What these are multiples of, by group.
    """

    kept: Mapping[str, int]
    grains: Mapping[str, int]


def spend_budget(
    groups: Sequence[UnitGroup],
    curves: Sequence[Curve],
    recipe: Recipe,
    costs: CostModel,
    latency: LatencyModel | None,
) -> Spent:
    """Spends a recipe's budget.

    A block that the recipe names holds for every group. Where it names none, the machine's block
    holds, except that a group of less than two blocks gets a narrower one (half, a quarter, …), and
    that all blocks are halved as often as it takes for the budget to be reached, and for no less
    than `WELL_SPENT` of it, or of what finer blocks would spend, to be spent.

    Args:
        groups: The groups.
        curves: Their curves, in the same order.
        recipe: A recipe with a budget.
        costs: What a fragment costs.
        latency: How long it takes; needed where time is bought.

    Returns:
        Counts and grains.

    Raises:
        SlicingError: BUDGET_UNREACHABLE.
    """
    bought = _bought(recipe, costs, latency)
    if recipe.block is not None:
        grains = {group.id: blocks.grain(group, recipe.block) for group in groups}
        return _spent(curves, bought, grains)
    return _in_fitting_blocks(groups, curves, bought)


def least_budget(
    groups: Sequence[UnitGroup],
    curves: Sequence[Curve],
    recipe: Recipe,
    costs: CostModel,
    latency: LatencyModel | None,
) -> float:
    """The smallest budget, of the kind that a recipe has, that `spend_budget` can keep to.

    Args:
        groups: The groups.
        curves: Their curves, in the same order.
        recipe: A recipe with a budget; how large it is does not matter.
        costs: What a fragment costs.
        latency: How long it takes; needed where time is bought.

    Returns:
        A share or milliseconds, rounded up.
    """
    bought = _bought(recipe, costs, latency)
    grains = {group.id: blocks.grain(group, recipe.block or 1) for group in groups}
    least = bought.told(least_cost(curves, bought.pricing, grains))
    return math.ceil(least * _STEPS_OF_LEAST) / _STEPS_OF_LEAST


@dataclass(frozen=True, eq=False)
class _Bought:
    """What is bought.

    Attributes:
        pricing: Its prices.
        budget: The share of the whole price that may be spent.
        exponent: p of Σ error^p.
        told: From such a share to what a client asks in.
        unit: What that is.
    """

    pricing: Pricing
    budget: float
    exponent: float
    told: Callable[[float], float] = float
    unit: str = "of the model's cost"


def _in_fitting_blocks(
    groups: Sequence[UnitGroup], curves: Sequence[Curve], bought: _Bought
) -> Spent:
    """Spends in the widest blocks that are fine enough for the budget."""
    tried: list[tuple[float, Spent]] = []
    for block in blocks.narrower(blocks.machine_block()):
        grains = {group.id: blocks.fitting_grain(group, block) for group in groups}
        least = least_cost(curves, bought.pricing, grains)
        if block > 1 and least > bought.budget + ROUNDING:
            continue
        spent = _spent(curves, bought, grains)
        counts = np.array([spent.kept[group.id] for group in groups], dtype=np.int64)
        tried.append((Tally(bought.pricing, counts).cost, spent))
        if tried[-1][0] >= WELL_SPENT * bought.budget:
            return spent
    most = max(cost for cost, _ in tried)
    return next(spent for cost, spent in tried if cost >= WELL_SPENT * most)


def _spent(curves: Sequence[Curve], bought: _Bought, grains: Mapping[str, int]) -> Spent:
    least = least_cost(curves, bought.pricing, grains)
    if least > bought.budget + ROUNDING:
        told, unit = bought.told, bought.unit
        raise unreachable(told(bought.budget), told(least), grains, unit)
    purse = Purse(bought.pricing, bought.budget, bought.exponent, grains)
    return Spent(spend(curves, purse), grains)


def _bought(recipe: Recipe, costs: CostModel, latency: LatencyModel | None) -> _Bought:
    if recipe.budget_params is not None:
        return _Bought(costs.parameters(), recipe.budget_params, budget.PARAMETERS_EXPONENT)
    if recipe.budget_macs is not None:
        return _Bought(costs.macs(), recipe.budget_macs, budget.MACS_EXPONENT)
    if recipe.budget_bytes is not None:
        return _Bought(costs.bytes(), recipe.budget_bytes, budget.BYTES_EXPONENT)
    assert latency is not None, "a budget of time needs times"
    return _bought_time(recipe, latency)


def _bought_time(recipe: Recipe, latency: LatencyModel) -> _Bought:
    pricing, exponent = latency.pricing, budget.LATENCY_EXPONENT
    if recipe.budget_latency is not None:
        allowed = latency.allowed(recipe.budget_latency * latency.whole_ms)
        return _Bought(pricing, allowed, exponent, latency.share, "of the model's time")
    assert recipe.budget_latency_ms is not None
    return _Bought(pricing, latency.allowed(recipe.budget_latency_ms), exponent, latency.time, "ms")
