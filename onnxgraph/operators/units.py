"""Which unit stands at each place of an axis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Indices: TypeAlias = NDArray[np.int64]

NO_UNIT = -1
"""Marks a place that belongs to no cuttable unit."""


@dataclass(frozen=True, eq=False)
class AxisUnits:
    """The units along one axis of a value.

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


Layout: TypeAlias = Mapping[int, AxisUnits]
"""The axes of a value that hold cuttable units; the other axes hold none."""

NOTHING: Layout = {}
"""The layout of a value without cuttable units."""
