"""Which places of an axis stay when units go."""

from __future__ import annotations

import numpy as np

from onnxgraph.groups import Consumer
from onnxgraph.operators.units import NO_UNIT, Indices


def kept_places(units: Indices, kept: Indices) -> Indices:
    """Places of an axis that stay: those of kept units and those of no unit of the group."""
    return np.flatnonzero((units == NO_UNIT) | np.isin(units, kept)).astype(np.int64)


def consumer_places(consumer: Consumer, kept: Indices, size: int) -> tuple[Indices, Indices]:
    """The places of a consumer's axis of `size` that stay, and where kept units then stand.

    Returns:
        `(places,)` old indices in order, and `(kept, block)` new indices.
    """
    units = np.full(size, NO_UNIT, dtype=np.int64)
    units[consumer.positions] = np.arange(consumer.positions.shape[0])[:, None]
    places = kept_places(units, kept)
    return places, np.searchsorted(places, consumer.positions[kept])
