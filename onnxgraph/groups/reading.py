"""Where a unit's own output is read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from onnxgraph.groups.trace import Trace
from onnxgraph.groups.types import ValueAxis
from onnxgraph.operators import TABLE
from onnxgraph.operators.units import NO_UNIT


def read_out(producer: str, values: Sequence[ValueAxis], walked: Trace) -> tuple[str, int]:
    """The last value that elementwise nodes make of a producer's output, and its unit axis.

    Of a coupled group that is behind the last Add; each place of the axis is one unit.
    """
    axes = {
        axis.value: axis.axis
        for axis in values
        if (axis.units != NO_UNIT).all() and np.unique(axis.units).size == axis.units.size
    }
    source = walked.nodes[producer].outputs[0].name or ""
    reached = {source}
    found = source
    for name in axes:
        node = walked.nodes[walked.producers[name]]
        if TABLE[node.op_type].elementwise and any(
            value is not None and value.name in reached for value in node.inputs
        ):
            reached.add(name)
            found = name
    return found, axes[found]
