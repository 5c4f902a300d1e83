"""Which places of an axis stay when units go."""

from __future__ import annotations

import numpy as np

from onnxgraph.groups import Consumer, Recurrence
from onnxgraph.operators.units import NO_UNIT, Indices


def kept_places(units: Indices, kept: Indices) -> Indices:
    """Places of an axis that stay: those of kept units and those of no unit of the group."""
    return np.flatnonzero((units == NO_UNIT) | np.isin(units, kept, kind="table")).astype(np.int64)


def units_read(reader: Consumer | Recurrence, size: int) -> Indices:
    """`(size,)` the unit at each place of a reader's axis, -1 where there is none."""
    units = np.full(size, NO_UNIT, dtype=np.int64)
    units[reader.positions] = np.arange(reader.positions.shape[0])[:, None]
    return units
