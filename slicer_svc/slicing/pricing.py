"""What a fragment costs as a function of the units kept, quick enough to try many counts."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
"""Units kept of every group, `(groups,)`, in the groups' order."""

Costs = NDArray[np.float64]
"""Costs as shares of the whole model's."""


@dataclass(frozen=True, eq=False)
class Pricing:
    """A cost that is a sum of products: each term shrinks with every axis that follows units.

    cost(kept) = Σ_t w_t · Π_a (Σ_g s_tag · kept_g / units_g + s_ta0), as for the parameters of an
    initializer, whose axes follow one group each (or several, behind a Concat).

    Attributes:
        weights: w, `(terms,)`, at least 0.
        shares: s, `(terms, axes, groups + 1)`: which share of an axis follows which group; the
            last is the share that follows none. Those of an axis sum to 1.
        units: Units of every whole group, `(groups,)`.
        grains: What a group's count is rounded up to a multiple of before it is paid for,
            `(groups,)`: ones but for times, which rise by blocks.
    """

    weights: NDArray[np.float64]
    shares: NDArray[np.float64]
    units: Counts
    grains: Counts

    def ratios(self, counts: Counts, groups: Counts) -> NDArray[np.float64]:
        """The paid shares of groups whose counts are given."""
        grains = self.grains[groups]
        paid: NDArray[np.float64] = -(-counts // grains) * grains / self.units[groups]
        return np.minimum(paid, 1.0)


class Tally:
    """The cost of given counts, kept up to date as they change group by group.

    Attributes:
        counts: The counts; changed by `set` alone.
    """

    def __init__(self, pricing: Pricing, counts: Counts) -> None:
        self._pricing = pricing
        touches = (pricing.shares[:, :, :-1] != 0).any(axis=1)
        self._rows = [np.flatnonzero(column) for column in touches.T]
        meets = touches.T.astype(np.int64) @ touches.astype(np.int64)
        self._neighbours = [np.flatnonzero(row).tolist() for row in meets]
        everyone = np.arange(len(pricing.units))
        self._whole = float(pricing.weights.sum())
        self._ratios = np.append(pricing.ratios(counts, everyone), 1.0)
        self._factors = pricing.shares @ self._ratios
        self.counts = counts.copy()

    @property
    def cost(self) -> float:
        """The cost of the counts as a share of the whole model's."""
        return float(self._pricing.weights @ self._factors.prod(axis=1)) / self._whole

    def neighbours(self, group: int) -> Sequence[int]:
        """Groups whose `savings` change with this one's count, itself included."""
        return self._neighbours[group]

    def savings(self, group: int, candidates: Counts) -> Costs:
        """What is saved if one group gets another count and all others stay.

        Args:
            group: The group's place.
            candidates: Counts to try, `(n,)`; more than now cost more: their savings are negative.

        Returns:
            Shares of the whole model's cost, `(n,)`.
        """
        rows = self._rows[group]
        places = np.full(len(candidates), group)
        change = self._pricing.ratios(candidates, places) - self._ratios[group]
        slopes = self._pricing.shares[rows, :, group]
        now = self._factors[rows]
        then = now + slopes * change[:, None, None]
        weights = self._pricing.weights[rows]
        saved: Costs = (now.prod(axis=1) - then.prod(axis=2)) @ weights / self._whole
        return saved

    def set(self, group: int, count: int) -> None:
        """Gives one group another count."""
        self.counts[group] = count
        place = np.array([group])
        self._ratios[group] = self._pricing.ratios(self.counts[place], place)[0]
        rows = self._rows[group]
        # From the counts, not from the change: nothing adds up over many steps.
        self._factors[rows] = self._pricing.shares[rows] @ self._ratios
