"""Shapes, Reshape targets and group counts after a cut."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from onnxgraph.groups import UnitGroup
from onnxgraph.lookup import constant_of, nodes_by_name, values_by_name
from onnxgraph.operators.units import Indices
from onnxgraph.parameters import set_parameter
from onnxgraph.surgery.places import kept_places


def shorten(model: ir.Model, group: UnitGroup, kept: Indices) -> None:
    """Writes the new sizes of a cut group into the graph, in place.

    Shapes of values, constant targets of Reshape, and the groups of depthwise convolutions.
    """
    values, nodes = values_by_name(model.graph), nodes_by_name(model.graph)
    for axis in group.values:
        size = int(kept_places(axis.units, kept).size)
        value = values[axis.value]
        assert value.shape is not None
        sizes = list(value.shape)
        sizes[axis.axis] = size
        value.shape = ir.Shape(sizes)
        producer = value.producer()
        if producer is not None and producer.op_type == "Reshape":
            _retarget(model, producer, axis.axis, size)
    for name in group.passes:
        node = nodes[name]
        if node.op_type == "Conv":
            assert node.inputs[0] is not None
            assert node.inputs[0].shape is not None
            channels = node.inputs[0].shape[1]
            assert isinstance(channels, int)
            node.attributes["group"] = ir.AttrInt64("group", channels)


def _retarget(model: ir.Model, node: ir.Node, axis: int, size: int) -> None:
    """Sets one size of a Reshape's target, unless it is inferred (-1) or copied (0)."""
    target = constant_of(node.inputs[1])
    assert target is not None
    sizes = np.array(target.numpy())
    if sizes[axis] > 0:
        sizes[axis] = size
        set_parameter(model, node, 1, sizes)
