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
    for node in walked.nodes.values():
        output = node.outputs[0].name or ""
        row = TABLE.get(node.op_type)
        if row is None or not row.elementwise or output not in axes:
            continue
        if any(value is not None and value.name in reached for value in node.inputs):
            reached.add(output)
            found = output
    return found, axes[source]
