"""The judge of unit flow: units that are copies of kept ones can be cut without any loss."""

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from onnxgraph.groups import UnitGroup
from onnxgraph.parameters import set_parameter
from onnxgraph.surgery import Cut, Repair


def copied_units(
    model: ir.Model, group: UnitGroup, random: np.random.Generator
) -> tuple[UnitGroup, Cut]:
    """Makes some units of a group copies of others, in place, and cuts the copies.

    The repair puts each copy back, so whatever the network computes must stay as it is. If a unit
    were followed to a wrong place, of a parameter or of a consumer, it would not.
    """
    size = int(random.integers(1, group.units + 1))
    kept = np.sort(random.choice(group.units, size, replace=False))
    source = random.integers(0, size, size=group.units)
    source[kept] = np.arange(size)
    _copy(model, group, kept[source])
    repair = Repair(np.eye(size)[source])
    return group, Cut(
        kept,
        {consumer.node: repair for consumer in group.consumers},
        {found.node: repair for found in group.recurrences},
    )


def _copy(model: ir.Model, group: UnitGroup, source: NDArray[np.int64]) -> None:
    """Unit j becomes a copy of unit `source[j]`."""
    nodes = {node.name: node for node in model.graph}
    for use in group.parameters:
        node = nodes[use.node]
        value = node.inputs[use.input]
        assert value is not None
        assert value.const_value is not None
        places = np.arange(use.units.size)
        for unit in range(group.units):
            places[use.units == unit] = np.flatnonzero(use.units == source[unit])
        array = np.take(value.const_value.numpy(), places, axis=use.axis)
        set_parameter(model, node, use.input, array)
