"""Dropping the places of units from parameters, shapes, Reshape targets and group counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import onnx_ir as ir

from onnxgraph.groups import Consumer, UnitGroup
from onnxgraph.linear import linear_parts
from onnxgraph.lookup import constant_of, nodes_by_name, values_by_name
from onnxgraph.operators.units import Indices
from onnxgraph.parameters import set_parameter
from onnxgraph.surgery.places import kept_places, units_read
from onnxgraph.surgery.types import Cut

Chosen: TypeAlias = Sequence[tuple[UnitGroup, Cut]]
"""Groups as they stand in a graph, and what is kept of each."""


def drop(model: ir.Model, chosen: Chosen, shrinks: Callable[[Consumer], bool]) -> None:
    """Drops the units of several groups at once, in place.

    Args:
        model: The graph that the groups were found in, with all shapes.
        chosen: The groups and their cuts.
        shrinks: Whether a consumer's weight loses the places of dropped units, too.
    """
    nodes = nodes_by_name(model.graph)
    _drop_parameters(model, nodes, chosen, shrinks)
    _shorten_values(model, chosen)
    for name in {name for group, _ in chosen for name in group.passes}:
        node = nodes[name]
        if node.op_type == "Conv":
            assert node.inputs[0] is not None
            assert node.inputs[0].shape is not None
            channels = node.inputs[0].shape[1]
            assert isinstance(channels, int)
            node.attributes["group"] = ir.AttrInt64("group", channels)


def _drop_parameters(
    model: ir.Model,
    nodes: dict[str, ir.Node],
    chosen: Chosen,
    shrinks: Callable[[Consumer], bool],
) -> None:
    left: dict[tuple[str, int, int], Indices] = {}

    def keep(key: tuple[str, int, int], places: Indices) -> None:
        left[key] = np.intersect1d(left[key], places) if key in left else places

    for group, cut in chosen:
        for use in group.parameters:
            keep((use.node, use.input, use.axis), kept_places(use.units, cut.kept))
        for consumer in filter(shrinks, group.consumers):
            call, facet, weight = linear_parts(model, nodes[consumer.node])
            axis = facet.input_axis(call)
            units = units_read(consumer, weight.shape[axis])
            keep((consumer.node, 1, axis), kept_places(units, cut.kept))
    for (name, index, axis), places in left.items():
        node = nodes[name]
        tensor = constant_of(node.inputs[index])
        assert tensor is not None
        set_parameter(model, node, index, np.take(tensor.numpy(), places, axis=axis))


def _shorten_values(model: ir.Model, chosen: Chosen) -> None:
    """Writes the new sizes into shapes of values and constant targets of Reshape."""
    values = values_by_name(model.graph)
    gone: dict[tuple[str, int], int] = {}
    for group, cut in chosen:
        for use in group.values:
            key = use.value, use.axis
            lost = use.units.size - kept_places(use.units, cut.kept).size
            gone[key] = gone.get(key, 0) + lost
    for (name, axis), lost in gone.items():
        value = values[name]
        assert value.shape is not None
        sizes = list(value.shape)
        size = sizes[axis]
        assert isinstance(size, int)
        sizes[axis] = size - lost
        value.shape = ir.Shape(sizes)
        producer = value.producer()
        if producer is not None and producer.op_type == "Reshape":
            _retarget(model, producer, axis, size - lost)


def _retarget(model: ir.Model, node: ir.Node, axis: int, size: int) -> None:
    """Sets one size of a Reshape's target, unless it is inferred (-1) or copied (0)."""
    target = constant_of(node.inputs[1])
    assert target is not None
    sizes = np.array(target.numpy())
    if sizes[axis] > 0:
        sizes[axis] = size
        set_parameter(model, node, 1, sizes)
