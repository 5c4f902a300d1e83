"""Cutting a group, with repairs fused or as layers of their own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from onnxgraph.groups import Consumer, UnitGroup, find_group
from onnxgraph.linear import materialise_bias
from onnxgraph.lookup import nodes_by_name
from onnxgraph.operators.units import Indices
from onnxgraph.parameters import set_parameter
from onnxgraph.shapes import with_shapes
from onnxgraph.surgery.fusion import fuse
from onnxgraph.surgery.layers import insert_repair, repaired_by
from onnxgraph.surgery.places import kept_places
from onnxgraph.surgery.shapes import shorten
from onnxgraph.surgery.types import Cut, Repair

_Mend = Callable[[ir.Model, ir.Node, Consumer, Indices, Repair | None], None]


def cut(model: ir.Model, group: UnitGroup, cut: Cut) -> ir.Model:
    """Drops units and folds the repairs exactly into their consumers (ALGORITHM.md, section 4).

    Names of values and nodes stay, so that groups found before can be cut one after the other.

    Args:
        model: The graph; it is not changed.
        group: A group found in this graph, or in one from which only other groups were cut.
        cut: The kept units and the repairs.

    Returns:
        The smaller graph, with its parameters exactly as if units had simply been dropped.

    Raises:
        ValueError: If the cut does not fit the group, or an offset does not fold exactly.
    """
    for consumer in group.consumers:
        repair = cut.repairs.get(consumer.node)
        if repair is not None and repair.offset is not None and not consumer.offset_exact:
            raise ValueError(f"an offset does not fold into '{consumer.node}': it pads with zeros")
    return _cut(model, group, cut, fuse)


def cut_unfused(model: ir.Model, group: UnitGroup, cut: Cut) -> ir.Model:
    """The same function as `cut`, with each repair as a layer of its own (1×1 Conv, MatMul).

    For proofs and tests; an offset in front of zero padding is allowed here.

    Raises:
        ValueError: If the cut does not fit the group.
    """
    return _cut(model, group, cut, insert_repair)


def _cut(model: ir.Model, group: UnitGroup, cut: Cut, mend: _Mend) -> ir.Model:
    cut.check(group)
    result = with_shapes(model).clone()
    for consumer in group.consumers:
        repair = cut.repairs.get(consumer.node)
        if mend is fuse and repair is not None and repair.offset is not None:
            materialise_bias(result, consumer.node)
    current = find_group(result, group.id)
    if current.units != group.units:
        raise ValueError(f"'{group.id}' has {current.units} units here, not {group.units}")
    nodes = nodes_by_name(result.graph)
    kept = np.asarray(cut.kept, dtype=np.int64)
    for consumer in current.consumers:
        node = nodes[consumer.node]
        mend(result, node, consumer, kept, cut.repairs.get(repaired_by(node)))
    for parameter in current.parameters:
        node = nodes[parameter.node]
        value = node.inputs[parameter.input]
        assert value is not None
        assert value.const_value is not None
        places = kept_places(parameter.units, kept)
        array = np.take(value.const_value.numpy(), places, axis=parameter.axis)
        set_parameter(result, node, parameter.input, array)
    shorten(result, current, kept)
    return result
