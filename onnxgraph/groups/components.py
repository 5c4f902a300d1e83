"""Producers that share units: what is cut together or not at all."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from onnxgraph.operators.ledger import Ledger, Produced
from onnxgraph.operators.units import NO_UNIT, AxisUnits, Indices


@dataclass(frozen=True, eq=False)
class Components:
    """Every unit of a graph, sorted into components of coupled producers.

    Attributes:
        members: The producers of each component, in topological order.
        sizes: How many units each component has, joined ones counted once.
        roots: `(units,)` the representative of each unit.
        ranks: `(units,)` which of the units of its producer that are tied into one this is.
    """

    members: tuple[tuple[Produced, ...], ...]
    sizes: tuple[int, ...]
    roots: Indices
    ranks: Indices
    _component: Indices
    _number: Indices

    @classmethod
    def of(cls, ledger: Ledger) -> Components:
        """Joins the producers that a ledger couples."""
        roots = ledger.all_roots()
        members = _joined(ledger.produced, roots)
        component = np.full(roots.size + 1, NO_UNIT, dtype=np.int64)
        number = np.full(roots.size + 1, NO_UNIT, dtype=np.int64)
        sizes = []
        for index, producers in enumerate(members):
            units = np.concatenate([np.arange(p.first, p.first + p.count) for p in producers])
            distinct, inverse = np.unique(roots[units], return_inverse=True)
            component[units], number[units] = index, inverse
            sizes.append(int(distinct.size))
        return cls(members, tuple(sizes), roots, _ranks(members, roots), component, number)

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


def _ranks(members: tuple[tuple[Produced, ...], ...], roots: Indices) -> Indices:
    ranks = np.zeros(roots.size + 1, dtype=np.int64)  # The last one is that of `NO_UNIT`.
    for producer in (producer for producers in members for producer in producers):
        own = roots[producer.first : producer.first + producer.count]
        order = np.argsort(own, kind="stable")
        starts = np.searchsorted(own[order], own[order])
        ranks[producer.first + order] = np.arange(producer.count) - starts
    return ranks


def _joined(produced: list[Produced], roots: Indices) -> tuple[tuple[Produced, ...], ...]:
    """Producers with a common root, each component at the place of its first."""
    parents = list(range(len(produced)))

    def top(place: int) -> int:
        while parents[place] != place:
            place = parents[place]
        return place

    owner: dict[int, int] = {}
    for place, producer in enumerate(produced):
        for root in np.unique(roots[producer.first : producer.first + producer.count]).tolist():
            first, second = top(owner.setdefault(root, place)), top(place)
            parents[max(first, second)] = min(first, second)
    members: dict[int, list[Produced]] = defaultdict(list)
    for place, producer in enumerate(produced):
        members[top(place)].append(producer)
    return tuple(tuple(found) for found in members.values())
