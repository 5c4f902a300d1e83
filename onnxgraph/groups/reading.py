"""Where a unit's own output is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from onnxgraph.groups.trace import Trace
from onnxgraph.groups.types import Consumer, ValueAxis
from onnxgraph.operators import TABLE
from onnxgraph.operators.units import NO_UNIT, Indices


@dataclass(frozen=True, eq=False)
class ReadOut:
    """Where the units of a group are looked at.

    Attributes:
        value: The value's name.
        axis: Its axis that holds the units.
        places: `(units, block)` where each unit stands on it.
    """

    value: str
    axis: int
    places: Indices


def read_out(
    producer: str, consumer: Consumer, values: Sequence[ValueAxis], walked: Trace
) -> ReadOut:
    """The last value that elementwise nodes make of a producer's output, and its unit axis.

    Of a coupled group that is behind the last Add; each place of the axis is one unit. Units of
    several places are read where their first consumer reads them: behind the products of an
    attention head, or the grouped convolution of a group of channels.
    """
    axes = {axis.value: axis for axis in values if _in_one_place_each(axis.units)}
    source = walked.nodes[producer].outputs[0].name or ""
    if source not in axes:
        return ReadOut(consumer.value, consumer.unit_axis, consumer.positions)
    reached = {source}
    found = source
    for name in axes:
        node = walked.nodes[walked.producers[name]]
        if TABLE[node.op_type].elementwise and any(
            value is not None and value.name in reached for value in node.inputs
        ):
            reached.add(name)
            found = name
    units = axes[found].units
    places = np.argsort(units, kind="stable")[np.count_nonzero(units == NO_UNIT) :, None]
    places.setflags(write=False)
    return ReadOut(found, axes[found].axis, places)


def _in_one_place_each(units: Indices) -> bool:
    held = units[units != NO_UNIT]
    return bool(np.unique(held).size == held.size)
