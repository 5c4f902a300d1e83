"""Dropping the places of units from parameters, shapes, and whatever else names sizes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from onnxgraph.groups import Consumer, Recurrence, UnitGroup
from onnxgraph.linear import linear_parts
from onnxgraph.lookup import constant_of, nodes_by_name, values_by_name
from onnxgraph.operators import TABLE
from onnxgraph.operators.recurrence import RECURRENT_AXIS, RECURRENT_WEIGHT
from onnxgraph.operators.shrunk import Shortened, Shrunk
from onnxgraph.operators.units import Indices
from onnxgraph.parameters import set_parameter
from onnxgraph.surgery.places import kept_places, units_read
from onnxgraph.surgery.types import Cut

Chosen: TypeAlias = Sequence[tuple[UnitGroup, Cut]]
"""Groups as they stand in a graph, and what is kept of each."""


def drop(model: ir.Model, chosen: Chosen, shrinks: Callable[[Consumer | Recurrence], bool]) -> None:
    """Drops the units of several groups at once, in place.

    Args:
        model: The graph that the groups were found in, with all shapes.
        chosen: The groups and their cuts.
        shrinks: Whether a consumer's weight loses the places of dropped units, too.
    """
    nodes = nodes_by_name(model.graph)
    _drop_parameters(model, nodes, chosen, shrinks)
    axes = _shorten_values(model, chosen)
    for node in model.graph:
        row = TABLE.get(node.op_type)
        if row is not None and row.shrink is not None:
            shrunk = Shrunk(model, node, axes)
            if any(shrunk.input(index) for index in range(len(node.inputs))) or shrunk.output():
                row.shrink(shrunk)


def _drop_parameters(
    model: ir.Model,
    nodes: dict[str, ir.Node],
    chosen: Chosen,
    shrinks: Callable[[Consumer | Recurrence], bool],
) -> None:
    left: dict[tuple[str, int, int], Indices] = {}

    def keep(key: tuple[str, int, int], places: Indices) -> None:
        left[key] = np.intersect1d(left[key], places, assume_unique=True) if key in left else places

    for group, cut in chosen:
        for use in group.parameters:
            keep((use.node, use.input, use.axis), kept_places(use.units, cut.kept))
        for consumer in filter(shrinks, group.consumers):
            call, facet, weight = linear_parts(model, nodes[consumer.node])
            axis = facet.input_axis(call)
            units = units_read(consumer, weight.shape[axis])
            keep((consumer.node, 1, axis), kept_places(units, cut.kept))
        for recurrence in filter(shrinks, group.recurrences):
            weight = _weight(nodes[recurrence.node], RECURRENT_WEIGHT)
            units = units_read(recurrence, weight.shape[RECURRENT_AXIS])
            keep((recurrence.node, RECURRENT_WEIGHT, RECURRENT_AXIS), kept_places(units, cut.kept))
    for (name, index, axis), places in left.items():
        node = nodes[name]
        set_parameter(model, node, index, np.take(_weight(node, index), places, axis=axis))


def _weight(node: ir.Node, index: int) -> NDArray[Any]:
    tensor = constant_of(node.inputs[index])
    assert tensor is not None
    return tensor.numpy()


def _shorten_values(model: ir.Model, chosen: Chosen) -> dict[str, dict[int, Shortened]]:
    """Writes the new sizes into shapes of values; returns the axes that became shorter."""
    values = values_by_name(model.graph)
    axes: dict[str, dict[int, Shortened]] = defaultdict(dict)
    for group, cut in chosen:
        for use in group.values:
            left = kept_places(use.units, cut.kept)
            known = axes[use.value].get(use.axis)
            if known is not None:
                left = np.intersect1d(left, known.left)
            axes[use.value][use.axis] = Shortened(use.units.size, left)
    for name, shortened in axes.items():
        value = values[name]
        assert value.shape is not None
        sizes = list(value.shape)
        for axis, found in shortened.items():
            if isinstance(sizes[axis], int):  # Else the batch is merged into the axis.
                sizes[axis] = found.left.size
        value.shape = ir.Shape(sizes)
    return axes
