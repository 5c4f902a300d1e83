"""A repair as a layer of its own in front of its consumer."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from onnxgraph.groups import Consumer, Recurrence
from onnxgraph.linear import linear_parts
from onnxgraph.lookup import constant_of, unused_name
from onnxgraph.operators.recurrence import RECURRENT_AXIS, RECURRENT_WEIGHT
from onnxgraph.operators.units import Indices
from onnxgraph.parameters import add_initializer
from onnxgraph.surgery.places import kept_places, units_read
from onnxgraph.surgery.types import Repair

_REPAIRS = "repairs"


def repaired_by(node: ir.Node) -> str:
    """The consumer that a repair layer stands in front of; any other node's own name."""
    return str(node.meta.get(_REPAIRS, node.name))


def mark_repaired(layer: ir.Node, consumer: ir.Node) -> None:
    """Says that a repair of `consumer` stands at the data of `layer`."""
    layer.meta[_REPAIRS] = repaired_by(consumer)


def insert_repair(
    model: ir.Model, node: ir.Node, consumer: Consumer, kept: Indices, repair: Repair
) -> None:
    """Inserts x ↦ B · x + b on the consumer's unit axis, in place.

    B, `(all places, kept places)`, holds R at each position of the group and the identity
    elsewhere.
    """
    call, facet, weight = linear_parts(model, node)
    size = int(weight.shape[facet.input_axis(call)])
    matrix = _at_all_places(consumer, size, kept, repair)
    offset = np.zeros(size)
    if repair.offset is not None:
        offset[consumer.positions] = repair.offset[:, None]
    _insert(model, node, matrix.astype(weight.dtype), offset.astype(weight.dtype))


def states_restored(
    node: ir.Node, recurrence: Recurrence, kept: Indices, repair: Repair
) -> NDArray[np.float64]:
    """`(hidden units, kept)` the matrix of a repair between the states of a node and its R."""
    weight = constant_of(node.inputs[RECURRENT_WEIGHT])
    assert weight is not None
    return _at_all_places(recurrence, weight.numpy().shape[RECURRENT_AXIS], kept, repair)


def _at_all_places(
    reader: Consumer | Recurrence, size: int, kept: Indices, repair: Repair
) -> NDArray[np.float64]:
    """`(size, places kept)` the matrix of a repair on a whole axis of `size` places."""
    left = kept_places(units_read(reader, size), kept)
    matrix = np.zeros((size, left.size))
    matrix[left, np.arange(left.size)] = 1.0
    for places in reader.positions.T:
        matrix[places] = 0.0
        matrix[np.ix_(places, np.searchsorted(left, places[kept]))] = repair.matrix
    return matrix


def _insert(model: ir.Model, node: ir.Node, matrix: NDArray[Any], offset: NDArray[Any]) -> None:
    data = node.inputs[0]
    assert data is not None
    name = unused_name(model.graph, f"{node.name}_repair")
    repaired = ir.Value(name=f"{name}_output", type=data.type, shape=data.shape)
    bias = add_initializer(model, f"{name}_offset", offset)
    if node.op_type == "Conv":
        rank = len(node.inputs[1].shape or ()) - 2 if node.inputs[1] is not None else 2
        kernel = add_initializer(
            model, f"{name}_matrix", matrix.reshape(*matrix.shape, *[1] * rank)
        )
        layers = [ir.node("Conv", [data, kernel, bias], outputs=[repaired], name=name)]
    else:
        columns = add_initializer(model, f"{name}_matrix", matrix.T)
        product = ir.Value(name=f"{name}_product", type=data.type, shape=data.shape)
        layers = [
            ir.node("MatMul", [data, columns], outputs=[product], name=name),
            ir.node("Add", [product, bias], outputs=[repaired], name=f"{name}_shift"),
        ]
    mark_repaired(layers[0], node)
    model.graph.insert_before(node, layers)
    node.replace_input_with(0, repaired)
