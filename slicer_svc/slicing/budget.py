"""Spending a budget where units matter most (ALGORITHM.md, section 3)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slicer_svc.slicing.errors import SlicingError, SlicingReason
from slicer_svc.slicing.plan import Curve
from slicer_svc.slicing.pricing import Counts, Pricing, Tally

MACS_EXPONENT = 1.0
"""p of Σ error^p where MACs are bought (ALGORITHM.md's trial)."""

PARAMETERS_EXPONENT = 0.5
"""p of Σ error^p where parameters are bought (ALGORITHM.md's trial)."""

BYTES_EXPONENT = PARAMETERS_EXPONENT
"""p where bytes are bought: they are the parameters' own."""

LATENCY_EXPONENT = MACS_EXPONENT
"""p where time is bought: mostly that of MACs."""

ROUNDING = 1e-12
"""What sums of floating numbers may miss a budget by that is met exactly."""


@dataclass(frozen=True, eq=False)
class Purse:
    """What is to be bought, and with what.

    Attributes:
        pricing: What a fragment costs.
        budget: The largest share of the model's cost that is allowed, in (0, 1].
        exponent: p of Σ error^p, which is to rise least.
        grains: By group, the number whose multiples may be kept (or the whole group).
    """

    pricing: Pricing
    budget: float
    exponent: float
    grains: Mapping[str, int]


def spend(curves: Sequence[Curve], purse: Purse) -> dict[str, int]:
    """Cuts step by step where Σ error^p rises least per saved cost, until the budget holds.

    A step takes one group down to any lower point of its curve, rounded to its grain. The last one
    is then undone as far as the budget allows; what is still left goes, grain by grain, to the
    groups where it lowers Σ error^p most per cost.

    Args:
        curves: One per group, in the order of the pricing's.
        purse: The budget.

    Returns:
        Units kept by group; each a multiple of its group's grain, or the whole group.

    Raises:
        SlicingError: BUDGET_UNREACHABLE where even the lowest points of all curves cost more.
    """
    least = least_cost(curves, purse.pricing, purse.grains)
    if least > purse.budget + ROUNDING:
        raise unreachable(purse.budget, least, purse.grains)
    spending = _Spending(curves, purse)
    spending.cut()
    spending.fill()
    return spending.kept()


def least_cost(curves: Sequence[Curve], pricing: Pricing, grains: Mapping[str, int]) -> float:
    """The cost of the smallest fragment that `spend` can reach, as a share of the model's."""
    lowest = [levels(curve, grains[curve.group])[0] for curve in curves]
    return Tally(pricing, np.array(lowest, dtype=np.int64)).cost


def levels(curve: Curve, grain: int) -> Counts:
    """The counts that a step may lead to: a curve's points rounded to grains, and the whole."""
    points = np.array(curve.kept, dtype=np.int64)
    rounded = np.concatenate([points // grain, -(-points // grain)]) * grain
    inside = rounded[(rounded >= 1) & (rounded < curve.units)]
    return np.append(np.unique(inside), curve.units)


class _Spending:
    """The counts as they are cut and filled up again."""

    def __init__(self, curves: Sequence[Curve], purse: Purse) -> None:
        self._curves = curves
        self._purse = purse
        self._grains = [purse.grains[curve.group] for curve in curves]
        self._levels = [
            levels(curve, grain) for curve, grain in zip(curves, self._grains, strict=True)
        ]
        whole = np.array([curve.units for curve in curves], dtype=np.int64)
        self._tally = Tally(purse.pricing, whole)

    def kept(self) -> dict[str, int]:
        """Units kept by group."""
        counts = self._tally.counts.tolist()
        return {curve.group: count for curve, count in zip(self._curves, counts, strict=True)}

    def cut(self) -> None:
        """Lowers groups until the budget holds, the last one no further than it must."""
        steps = [self._best_step(group) for group in range(len(self._curves))]
        while self._tally.cost > self._purse.budget + ROUNDING:
            group = int(np.argmin([rate for rate, _ in steps]))
            if math.isinf(steps[group][0]):
                return  # All groups are at their lowest, and a rounding error above the budget.
            upper = int(self._tally.counts[group])
            self._tally.set(group, steps[group][1])
            if self._tally.cost <= self._purse.budget + ROUNDING:
                self._undo(group, upper)
            for other in self._tally.neighbours(group):
                steps[other] = self._best_step(other)

    def fill(self) -> None:
        """Raises groups a grain at a time while the budget holds."""
        raises = [self._next_raise(group) for group in range(len(self._curves))]
        left = self._purse.budget + ROUNDING - self._tally.cost
        while True:
            rates = [rate if cost <= left else 0.0 for rate, cost, _ in raises]
            group = int(np.argmax(rates))
            if rates[group] <= 0:
                return
            self._tally.set(group, raises[group][2])
            left = self._purse.budget + ROUNDING - self._tally.cost
            for other in self._tally.neighbours(group):
                raises[other] = self._next_raise(other)

    def _best_step(self, group: int) -> tuple[float, int]:
        """The least rise of error^p per saved cost, and the count that it leads to."""
        now = int(self._tally.counts[group])
        lower = self._levels[group][self._levels[group] < now]
        saved = self._tally.savings(group, lower)
        lower, saved = lower[saved > 0], saved[saved > 0]
        if not lower.size:
            return math.inf, now
        rates = (self._losses(group, lower) - self._losses(group, np.array([now]))) / saved
        best = int(np.argmin(rates))
        return float(rates[best]), int(lower[best])

    def _next_raise(self, group: int) -> tuple[float, float, int]:
        """What a grain more of a group wins per cost, what it costs, and the count then."""
        now = int(self._tally.counts[group])
        units, grain = self._curves[group].units, self._grains[group]
        then = min(now + grain, units) if grain < units else units
        if then == now:
            return 0.0, math.inf, now
        cost = -float(self._tally.savings(group, np.array([then]))[0])
        before, after = self._losses(group, np.array([now, then])).tolist()
        # What costs nothing is taken first.
        return (before - after) / max(cost, ROUNDING), cost, then

    def _losses(self, group: int, counts: Counts) -> NDArray[np.float64]:
        losses: NDArray[np.float64] = self._curves[group].errors_at(counts) ** self._purse.exponent
        return losses

    def _undo(self, group: int, upper: int) -> None:
        """Gives a group the largest count below `upper` with which the budget still holds."""
        now, grain = int(self._tally.counts[group]), self._grains[group]
        counts = np.arange(now, upper, grain, dtype=np.int64)
        left = self._purse.budget + ROUNDING - self._tally.cost
        fitting = counts[-self._tally.savings(group, counts) <= left]
        self._tally.set(group, int(fitting[-1]))


def unreachable(
    budget: float, least: float, grains: Mapping[str, int], unit: str = "of the model's cost"
) -> SlicingError:
    """The refusal of a budget below the smallest fragment.

    Args:
        budget: What is allowed.
        least: What the smallest fragment costs.
        grains: What counts are multiples of, by group.
        unit: What both are given in.
    """
    # Rounded up, so that what is advised can be had.
    reachable = math.ceil(least * 1e4) / 1e4
    finer = "or for a smaller block, " if max(grains.values()) > 1 else ""
    return SlicingError(
        SlicingReason.BUDGET_UNREACHABLE,
        f"the budget is {budget:.4g} {unit}, the smallest fragment has {reachable:.4f}",
        advice=f"Ask for at least {reachable:.4f}, {finer}or give β instead.",
        metadata={"budget": f"{budget:.6f}", "least": f"{math.ceil(least * 1e6) / 1e6:.6f}"},
    )
