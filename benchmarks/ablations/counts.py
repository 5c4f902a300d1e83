"""How many units of every group a variant keeps under a budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks.ablations.variant import Variant
from slicer_svc.slicing import budget
from slicer_svc.slicing.blocks import grain
from slicer_svc.slicing.budget import Purse, spend
from slicer_svc.slicing.costs import CostModel
from slicer_svc.slicing.network import Network
from slicer_svc.slicing.plan import Curve


@dataclass(frozen=True)
class Budget:
    """A fragment's size.

    Attributes:
        name: `macs` or `params`: what is bought.
        share: Of the original's, in (0, 1].
    """

    name: str
    share: float

    def __str__(self) -> str:
        """As it stands in names of results."""
        return f"{self.name}{self.share:g}"


def kept_counts(
    network: Network, curves: Sequence[Curve], variant: Variant, spent: Budget
) -> dict[str, int]:
    """Spends a budget as the library does, with a variant's block, exponent and ranks.

    Args:
        network: The model.
        curves: Of all groups, in their order.
        variant: The variant.
        spent: The budget.

    Returns:
        Units by group.

    Raises:
        SlicingError: BUDGET_UNREACHABLE.
    """
    costs = CostModel(network)
    by_macs = spent.name == "macs"
    exponent = budget.MACS_EXPONENT if by_macs else budget.PARAMETERS_EXPONENT
    purse = Purse(
        pricing=costs.macs() if by_macs else costs.parameters(),
        budget=min(1.0, spent.share / variant.rank_share),
        exponent=exponent if variant.exponent is None else variant.exponent,
        grains={group.id: grain(group, variant.block) for group in network.groups},
    )
    if variant.residual_whole:
        curves = without_sums(network, curves)
    return spend(curves, purse)


def without_sums(network: Network, curves: Sequence[Curve]) -> list[Curve]:
    """Curves without a point for groups that several nodes produce: these stay whole."""
    summed = {group.id for group in network.groups if len(group.producers) > 1}
    return [
        replace(curve, kept=(), errors=()) if curve.group in summed else curve for curve in curves
    ]
