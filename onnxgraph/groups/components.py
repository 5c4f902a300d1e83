"""Units that share their fate: what is cut together or not at all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from onnxgraph.operators.ledger import Ledger, Produced
from onnxgraph.operators.units import NO_UNIT, AxisUnits, Indices, Layout


@dataclass(frozen=True, eq=False)
class Components:
    """Every unit of a graph, sorted into components: units that stand in the same values.

    Two units of one producer are of different components where a Slice, a Gather or an Add takes
    one of them elsewhere than the other: each component can lose units without the others.

    Attributes:
        names: A name for each component: that of its first producer, with a number behind it for
            each further component of that producer. The same after cuts of other components.
        members: The producers of each component, in topological order.
        sizes: How many units each component has, joined ones counted once.
        roots: `(units,)` the representative of each unit.
        ranks: `(units,)` which of the units of its producer that are tied into one this is.
    """

    names: tuple[str, ...]
    members: tuple[tuple[Produced, ...], ...]
    sizes: tuple[int, ...]
    roots: Indices
    ranks: Indices
    _component: Indices
    _number: Indices

    @classmethod
    def of(cls, ledger: Ledger, layouts: Iterable[Layout]) -> Components:
        """Sorts the units that a ledger has numbered by the values that they stand in."""
        roots = ledger.all_roots()
        axes = [roots[p.first : p.first + p.count] for p in ledger.produced]
        axes += [roots[u.units[u.units != NO_UNIT]] for lay in layouts for u in lay.values()]
        kinds = _sorted_apart(roots, axes, ledger.reasons())
        members = _members(kinds, axes, ledger.produced)
        component = np.full(roots.size + 1, NO_UNIT, dtype=np.int64)
        number = np.full(roots.size + 1, NO_UNIT, dtype=np.int64)
        sizes = []
        for index, kind in enumerate(members):
            units = np.flatnonzero(kinds == kind)
            distinct, inverse = np.unique(roots[units], return_inverse=True)
            component[units], number[units] = index, inverse
            sizes.append(int(distinct.size))
        found = tuple(members.values())
        ranks = _ranks(ledger.produced, roots)
        return cls(_names(found), found, tuple(sizes), roots, ranks, component, number)

    def roots_of(self, component: int, producer: Produced) -> Indices:
        """`(places,)` the units of a component at the places of one of its producers."""
        own = slice(producer.first, producer.first + producer.count)
        found: Indices = self.roots[own][self._component[own] == component]
        return found

    def present(self, axis: AxisUnits) -> Indices:
        """The components that have units on an axis."""
        found = self._component[axis.units]
        present: Indices = np.unique(found[found != NO_UNIT])
        return present

    def numbers(self, component: int, units: Indices) -> Indices:
        """Units of one component, numbered from 0 as its producers have them; -1 for all others."""
        numbers: Indices = np.where(
            self._component[units] == component, self._number[units], NO_UNIT
        )
        return numbers

    def phases(self, axis: AxisUnits) -> Indices:
        """`(size,)` which position of its unit each place of an axis is, ties included."""
        ranks: Indices = self.ranks[axis.units]
        return ranks * (int(axis.phase.max(initial=0)) + 1) + axis.phase


def _sorted_apart(roots: Indices, axes: Sequence[Indices], frozen: Collection[int]) -> Indices:
    """`(units,)` the kind of each unit, equal where units stand equally often on every axis.

    Args:
        roots: `(units,)` the representative of each unit.
        axes: The representatives of the units on each axis.
        frozen: Representatives that are whole; they are of other kinds than all others.
    """
    kinds = np.isin(np.arange(roots.size), list(frozen)).astype(np.int64)
    sizes = np.bincount(kinds[np.unique(roots)], minlength=2)
    for axis in axes:
        found, counts = np.unique(axis, return_counts=True)
        keys = kinds[found] * (int(counts.max(initial=0)) + 1) + counts
        _, first, place, many = np.unique(
            keys, return_index=True, return_inverse=True, return_counts=True
        )
        before = kinds[found[first]]
        if np.array_equal(sizes[before], many):
            continue
        np.subtract.at(sizes, before, many)
        kinds[found] = sizes.size + place
        sizes = np.append(sizes, many)
    parted: Indices = kinds[roots]
    return parted


def _members(
    kinds: Indices, axes: Sequence[Indices], produced: Sequence[Produced]
) -> dict[int, tuple[Produced, ...]]:
    """The producers of each kind; kinds in the order of the axes that they stand on.

    The first axes are those of the producers. No cut of another kind changes that order.
    """
    seen: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for place, axis in enumerate(axes):
        found, counts = np.unique(axis, return_counts=True)
        of_kind = dict(zip(kinds[found].tolist(), counts.tolist(), strict=True))
        for kind in sorted(of_kind):
            seen[kind].append((place, of_kind[kind]))
    members: dict[int, list[Produced]] = {kind: [] for kind in sorted(seen, key=seen.__getitem__)}
    for producer in produced:
        own = kinds[producer.first : producer.first + producer.count]
        for kind in np.unique(own).tolist():
            members[kind].append(producer)
    return {kind: tuple(producers) for kind, producers in members.items()}


def _names(members: Sequence[tuple[Produced, ...]]) -> tuple[str, ...]:
    counts: dict[str, int] = defaultdict(int)
    names = []
    for producers in members:
        first = producers[0].node
        names.append(f"{first}#{counts[first]}" if counts[first] else first)
        counts[first] += 1
    return tuple(names)


def _ranks(produced: Sequence[Produced], roots: Indices) -> Indices:
    ranks = np.zeros(roots.size + 1, dtype=np.int64)  # The last one is that of `NO_UNIT`.
    for producer in produced:
        own = roots[producer.first : producer.first + producer.count]
        order = np.argsort(own, kind="stable")
        starts = np.searchsorted(own[order], own[order])
        ranks[producer.first + order] = np.arange(producer.count) - starts
    return ranks
