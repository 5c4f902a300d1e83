"""Spending a budget where units matter most (ALGORITHM.md, section 3)."""

from collections.abc import Callable, Mapping, Sequence

from slicer_svc.slicing.errors import SlicingError, SlicingReason
from slicer_svc.slicing.plan import Curve

Price = Callable[[Mapping[str, int]], float]
"""Units kept by group to the cost of the whole fragment, as a share of the model's."""

MACS_EXPONENT = 1.0
"""p of Σ error^p where MACs are bought (ALGORITHM.md's trial)."""

PARAMETERS_EXPONENT = 0.5
"""p of Σ error^p where parameters are bought (ALGORITHM.md's trial)."""


def spend(curves: Sequence[Curve], price: Price, budget: float, exponent: float) -> dict[str, int]:
    """Cuts step by step where Σ error^p rises least per saved cost, until the budget holds.

    A step takes one group down to any lower point of its curve. The last one is then undone as
    far as the budget allows.

    Args:
        curves: One per group.
        price: The cost of a fragment with the given units, rising in each of them.
        budget: The largest share of the model's cost that is allowed, in (0, 1].
        exponent: p.

    Returns:
        Units kept by group.

    Raises:
        SlicingError: BUDGET_UNREACHABLE where even the lowest points of all curves cost more.
    """
    kept = {curve.group: curve.units for curve in curves}
    cost = price(kept)
    while cost > budget:
        step = _best_step(curves, kept, price, cost, exponent)
        if step is None:
            raise _unreachable(budget, cost)
        group, lower = step
        upper, kept[group] = kept[group], lower
        cost = price(kept)
        if cost <= budget:
            kept[group] = _most(kept, group, upper, price, budget)
            break
    return kept


def _best_step(
    curves: Sequence[Curve], kept: Mapping[str, int], price: Price, cost: float, exponent: float
) -> tuple[str, int] | None:
    """The group and its new count with the least rise of error^p per saved cost."""
    best: tuple[float, str, int] | None = None
    for curve in curves:
        now = curve.error(kept[curve.group]) ** exponent
        for lower in (count for count in curve.kept if count < kept[curve.group]):
            saved = cost - price({**kept, curve.group: lower})
            if saved <= 0:
                continue
            rate = (curve.error(lower) ** exponent - now) / saved
            if best is None or rate < best[0]:
                best = (rate, curve.group, lower)
    return None if best is None else best[1:]


def _most(kept: Mapping[str, int], group: str, upper: int, price: Price, budget: float) -> int:
    """The largest count of one group, below `upper`, with which the budget still holds."""
    fits, breaks = kept[group], upper
    while breaks - fits > 1:
        middle = (fits + breaks) // 2
        if price({**kept, group: middle}) <= budget:
            fits = middle
        else:
            breaks = middle
    return fits


def _unreachable(budget: float, least: float) -> SlicingError:
    return SlicingError(
        SlicingReason.BUDGET_UNREACHABLE,
        f"the budget is {budget:.4f} of the model's cost, the smallest fragment has {least:.4f}",
        advice=f"Ask for at least {least:.4f}, or give β instead of a budget.",
        metadata={"budget": f"{budget:.6f}", "least": f"{least:.6f}"},
    )
