"""Which unit stands at each place of an axis, or of several axes together."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import prod
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Indices: TypeAlias = NDArray[np.int64]

NO_UNIT = -1
"""Marks a place that belongs to no cuttable unit."""


@dataclass(frozen=True, eq=False)
class AxisUnits:
    """The units along one axis of a value.

    An axis of unknown size has the batch merged into it, outermost: its places repeat these.

    Attributes:
        units: `(size,)` the number of the unit at each place, or `NO_UNIT`.
        phase: `(size,)` which of its unit's places this is. After Flatten a unit holds one place
            per position; equal phases of two units are the same position.
    """

    units: Indices
    phase: Indices

    @classmethod
    def fresh(cls, first: int, count: int) -> AxisUnits:
        """Units `first … first + count - 1`, one place each."""
        return cls(np.arange(first, first + count, dtype=np.int64), np.zeros(count, np.int64))

    @classmethod
    def nothing(cls, size: int) -> AxisUnits:
        """An axis without cuttable units."""
        return cls(np.full(size, NO_UNIT, np.int64), np.zeros(size, np.int64))

    @property
    def size(self) -> int:
        """The size of the axis."""
        return int(self.units.shape[0])

    @property
    def present(self) -> Indices:
        """The distinct units on the axis."""
        found: Indices = np.unique(self.units[self.units != NO_UNIT])
        return found

    def take(self, places: Indices | slice) -> AxisUnits:
        """Some of the places, in the given order."""
        return AxisUnits(self.units[places], self.phase[places])


Labels: TypeAlias = tuple[tuple[int, ...], Indices, Indices]
"""Some axes, rising, with the units and phases of their places, one dimension per axis."""


@dataclass(frozen=True, eq=False)
class Grid:
    """Units spread over several axes of a value, as a Reshape leaves them that splits their axis.

    Which of the axes can be cut is open until a node ties the units of one (a head's places are
    contracted) or the walk ends: then whole slices across one axis become units.

    Attributes:
        axes: The axes, rising.
        units: The number of the unit at each place, or `NO_UNIT`; one dimension per axis.
        phase: As in `AxisUnits`, of the same shape.
    """

    axes: tuple[int, ...]
    units: Indices
    phase: Indices

    def along(self, axis: int) -> Indices:
        """`(size of the axis, rest)` the units, one row per place of one of the axes."""
        lines = np.moveaxis(self.units, self.axes.index(axis), 0)
        return lines.reshape(lines.shape[0], -1)

    def lines(self, axes: Collection[int]) -> Indices:
        """`(rest, places)` the units of each line along some of the axes."""
        order = [place for place, axis in enumerate(self.axes) if axis not in axes]
        along = [place for place, axis in enumerate(self.axes) if axis in axes]
        size = prod(self.units.shape[place] for place in along)
        return self.units.transpose(order + along).reshape(-1, size)

    def without(self, axes: Collection[int]) -> Labels:
        """What stands on the other axes at the first place of these: axes, units and phases."""
        index = tuple(0 if axis in axes else slice(None) for axis in self.axes)
        kept = tuple(axis for axis in self.axes if axis not in axes)
        return kept, self.units[index], self.phase[index]

    def moved(self, places: Mapping[int, int]) -> Grid:
        """The same units once every axis `a` has become the axis `places[a]`."""
        targets = [places[axis] for axis in self.axes]
        order = np.argsort(targets)
        return Grid(
            tuple(sorted(targets)), self.units.transpose(order), self.phase.transpose(order)
        )

    def take(self, axis: int, places: Indices | slice) -> Grid:
        """Some of the places of one axis, in the given order."""
        index: list[Indices | slice] = [slice(None)] * len(self.axes)
        index[self.axes.index(axis)] = places
        chosen = tuple(index)
        return Grid(self.axes, self.units[chosen], self.phase[chosen])

    @property
    def flat(self) -> AxisUnits:
        """All places in memory order, as if they were one axis."""
        return AxisUnits(self.units.reshape(-1), self.phase.reshape(-1))


Layout: TypeAlias = Mapping[int, AxisUnits]
"""The axes of a value that hold cuttable units; the other axes hold none."""

Grids: TypeAlias = tuple[Grid, ...]
"""The units of a value that are spread over several axes; no axis is in two grids or a layout."""

NOTHING: Layout = {}
"""The layout of a value without cuttable units."""
