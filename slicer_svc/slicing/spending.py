"""From a recipe's budget to counts: what is bought, at which price, in which blocks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from onnxgraph.groups import UnitGroup
from slicer_svc.slicing import blocks, budget
from slicer_svc.slicing.budget import ROUNDING, Purse, least_cost, spend
from slicer_svc.slicing.costs import CostModel
from slicer_svc.slicing.latency.model import LatencyModel
from slicer_svc.slicing.plan import Curve
from slicer_svc.slicing.pricing import Pricing
from slicer_svc.slicing.recipe import Recipe


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
    that all blocks are halved as often as it takes for the budget to be reached.

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
    pricing, share, exponent = _bought(recipe, costs, latency)
    if recipe.block is not None:
        grains = {group.id: blocks.grain(group, recipe.block) for group in groups}
        return Spent(spend(curves, Purse(pricing, share, exponent, grains)), grains)
    for block in blocks.narrower(blocks.machine_block()):
        grains = {group.id: blocks.fitting_grain(group, block) for group in groups}
        if block == 1 or least_cost(curves, pricing, grains) <= share + ROUNDING:
            break
    return Spent(spend(curves, Purse(pricing, share, exponent, grains)), grains)


def _bought(
    recipe: Recipe, costs: CostModel, latency: LatencyModel | None
) -> tuple[Pricing, float, float]:
    """The prices, the share of the whole that may be spent, and p of Σ error^p."""
    if recipe.budget_params is not None:
        return costs.parameters(), recipe.budget_params, budget.PARAMETERS_EXPONENT
    if recipe.budget_macs is not None:
        return costs.macs(), recipe.budget_macs, budget.MACS_EXPONENT
    if recipe.budget_bytes is not None:
        return costs.bytes(), recipe.budget_bytes, budget.BYTES_EXPONENT
    assert latency is not None, "a budget of time needs times"
    ms = recipe.budget_latency_ms
    if ms is None:
        assert recipe.budget_latency is not None
        ms = recipe.budget_latency * latency.whole_ms
    return latency.pricing, latency.allowed(ms), budget.LATENCY_EXPONENT
