"""The record that unit flow is written into while a graph is walked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onnxgraph.operators.units import NO_UNIT, AxisUnits, Indices


@dataclass(frozen=True)
class Produced:
    """A node whose output axis holds fresh units `first … first + count - 1`."""

    node: str
    first: int
    count: int


@dataclass(frozen=True, eq=False)
class ParameterUse:
    """One axis of one parameter input that follows units: it is cut along with them."""

    node: str
    input: int
    axis: int
    units: AxisUnits


@dataclass(frozen=True, eq=False)
class Consumed:
    """A linear node that contracts `axis` of its data input: where a repair fuses."""

    node: str
    axis: int
    units: AxisUnits


class Ledger:
    """Collects producers, couplings, cut parameters, consumers and frozen units of a graph.

    Units are numbered through the whole graph, one for each place of a producer's axis. Units
    that can only go together are joined in a union-find: those that an Add couples place by place,
    and those that are tied into one coarser unit (a head, a group of channels). A frozen unit
    freezes all that it is joined with.
    """

    def __init__(self) -> None:
        self._parents: list[int] = []
        self._reasons: dict[int, str] = {}
        self.produced: list[Produced] = []
        self.parameters: list[ParameterUse] = []
        self.consumed: list[Consumed] = []
        self.recurring: list[Consumed] = []

    def produce(self, node: str, count: int) -> AxisUnits:
        """Numbers the fresh units of a producer's output axis."""
        first = len(self._parents)
        self._parents.extend(range(first, first + count))
        self.produced.append(Produced(node, first, count))
        return AxisUnits.fresh(first, count)

    def cut_along(self, node: str, index: int, axis: int, units: AxisUnits) -> None:
        """Says that `axis` of the parameter at input `index` of `node` follows `units`."""
        self.parameters.append(ParameterUse(node, index, axis, units))

    def consume(self, node: str, axis: int, units: AxisUnits) -> None:
        """Says that the linear `node` contracts `axis` of its data input."""
        self.consumed.append(Consumed(node, axis, units))

    def recur(self, node: str, axis: int, units: AxisUnits) -> None:
        """Says that the recurrent `node` contracts `axis` of its own first output, a step later."""
        self.recurring.append(Consumed(node, axis, units))

    def freeze(self, units: Indices, reason: str) -> None:
        """Keeps units whole. The first reason given for a unit stays."""
        for unit in np.unique(units):
            if unit != NO_UNIT:
                self._reasons.setdefault(int(unit), reason)

    def tie(self, lines: Indices, reason: str) -> None:
        """Makes one unit of all units on a line: its places go together or not at all.

        Args:
            lines: `(units, places)` numbers of units; each row becomes one unit.
            reason: Why a row stays whole in which some places hold no unit.
        """
        for line in lines:
            held = line[line != NO_UNIT]
            if held.size != line.size:
                self.freeze(held, reason)
                continue
            for unit in np.unique(held)[1:].tolist():
                self._join(int(held[0]), unit)

    def couple(self, left: AxisUnits, right: AxisUnits, reason: str) -> AxisUnits:
        """Joins two axes of one size place by place: they can only be cut together.

        A place that holds a unit on one side only freezes what stands there, for `reason`; so
        does a place that is another position of its unit on the other side, unless one side has a
        single place of each unit there: these units are tied as the other side has them.
        """
        alone = (left.units == NO_UNIT) != (right.units == NO_UNIT)
        joined = (left.units != NO_UNIT) & ~alone
        skewed = joined & (left.phase != right.phase) & ~_single(left) & ~_single(right)
        apart = alone | skewed
        self.freeze(np.concatenate([left.units[apart], right.units[apart]]), reason)
        pairs = np.unique(np.stack([left.units[joined], right.units[joined]]), axis=1)
        for first, second in pairs.T:
            self._join(int(first), int(second))
        return AxisUnits(np.where(left.units == NO_UNIT, right.units, left.units), left.phase)

    def root(self, unit: int) -> int:
        """The representative of all units joined with `unit`."""
        while self._parents[unit] != unit:
            self._parents[unit] = self._parents[self._parents[unit]]
            unit = self._parents[unit]
        return unit

    def roots(self, units: Indices) -> Indices:
        """The representatives of an array of units; `NO_UNIT` stays."""
        found, inverse = np.unique(units, return_inverse=True)
        roots = [NO_UNIT if unit == NO_UNIT else self.root(unit) for unit in found.tolist()]
        return np.array(roots, dtype=np.int64)[inverse].reshape(units.shape)

    def all_roots(self) -> Indices:
        """`(units,)` the representative of every unit so far."""
        return self.roots(np.arange(len(self._parents), dtype=np.int64))

    def reasons(self) -> dict[int, str]:
        """Why units are whole, by representative; the first frozen unit's reason counts."""
        found: dict[int, str] = {}
        for unit in sorted(self._reasons):
            found.setdefault(self.root(unit), self._reasons[unit])
        return found

    def _join(self, first: int, second: int) -> None:
        first, second = self.root(first), self.root(second)
        if first != second:
            self._parents[max(first, second)] = min(first, second)


def _single(axis: AxisUnits) -> NDArray[np.bool_]:
    """`(size,)` whether the unit at a place has no other place on the axis."""
    _, inverse, counts = np.unique(axis.units, return_inverse=True, return_counts=True)
    single: NDArray[np.bool_] = counts[inverse] == 1
    return single
