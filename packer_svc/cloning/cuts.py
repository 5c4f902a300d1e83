"""Where a graph hangs by a single tensor: the places at which it can be cut in two."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from onnxgraph.cost import cost
from onnxgraph.lookup import opset_of, values_by_name
from onnxgraph.operators import TABLE, Call
from onnxgraph.operators.step import dims_of
from onnxgraph.parameters import weight_shape_of
from onnxgraph.shapes import with_shapes

INPUT = "spliced"
"""The input of what stands behind a cut."""


@dataclass(frozen=True)
class CutPoint:
    """One place at which a graph can be cut.

    Attributes:
        value: The tensor that everything behind reads, and nothing else from in front.
        shape: Of one sample: `(C, H, W)` or `(F,)`.
        depth: The share of the graph's MACs in front of it, in [0, 1].
    """

    value: str
    shape: tuple[int, ...]
    depth: float


def cut_points(model: ir.Model) -> tuple[CutPoint, ...]:
    """All places where a linear node reads the one tensor that a graph hangs by, from the front.

    Args:
        model: A fragment, or a model with the outputs of one: nodes in order.

    Raises:
        GraphError: `GRAPH_SHAPE_DYNAMIC` if a shape cannot be inferred.
    """
    shaped = with_shapes(model)
    counted = cost(shaped)
    before = 0
    macs_before: dict[str, float] = {}
    for node in shaped.graph:
        share = counted.by_node.get(node.name or "")
        before += 0 if share is None else share.macs
        macs_before |= {str(one.name): before / max(counted.macs, 1) for one in node.outputs}
    opset = opset_of(shaped)
    return tuple(
        CutPoint(str(value.name), shape, macs_before[str(value.name)])
        for value in _bridges(shaped.graph)
        if (shape := _sample_shape(value)) is not None and _feeds_linear(value, opset)
    )


def in_front(model: ir.Model, point: CutPoint) -> ir.Model:
    """What computes a cut's tensor: its only output, under its own name."""
    front = with_shapes(model).clone()
    value = values_by_name(front.graph)[point.value]
    front.graph.outputs.clear()
    front.graph.outputs.append(value)
    RemoveUnusedNodesPass()(front)
    return front


def behind(model: ir.Model, point: CutPoint) -> ir.Model:
    """What reads a cut's tensor: its only input, called `INPUT`; the outputs are the graph's."""
    back = with_shapes(model).clone()
    graph = back.graph
    old = values_by_name(graph)[point.value]
    new = ir.Value(name=INPUT, type=old.type, shape=ir.Shape(["batch", *point.shape]))
    if old.is_graph_output():
        # An output cannot be an input: it becomes a copy, which everything behind reads.
        name = str(old.name)
        old.name = f"{name}_before"
        copy = ir.node("Identity", [new], name=f"{INPUT}_identity")
        copy.outputs[0].name, copy.outputs[0].type = name, old.type
        copy.outputs[0].shape = ir.Shape(["batch", *point.shape])
        graph.insert_before(graph[0], copy)
        ir.convenience.replace_all_uses_with(old, copy.outputs[0], replace_graph_outputs=True)
    else:
        ir.convenience.replace_all_uses_with(old, new)
    graph.inputs.clear()
    graph.inputs.append(new)
    RemoveUnusedNodesPass()(back)
    return back


def _bridges(graph: ir.Graph) -> Iterator[ir.Value]:
    """The tensors that all that depends on the inputs passes through, in order."""
    waiting = {value: len(value.uses()) for value in graph.inputs if value.uses()}
    for node in graph:
        fed = [value for value in node.inputs if value is not None and value in waiting]
        if not fed:
            continue
        for value in fed:
            waiting[value] -= 1
            if not waiting[value]:
                del waiting[value]
        waiting |= {value: len(value.uses()) for value in node.outputs if value.uses()}
        if len(waiting) == 1:
            (value,) = waiting
            if value in node.outputs:
                yield value


def _sample_shape(value: ir.Value) -> tuple[int, ...] | None:
    """The shape of a sample of maps or features; None of anything else."""
    sizes = dims_of(value)[1:]
    if len(sizes) not in (1, 3) or value.dtype is not ir.DataType.FLOAT:
        return None
    known = tuple(size for size in sizes if size is not None)
    return known if len(known) == len(sizes) else None


def _feeds_linear(value: ir.Value, opset: int) -> bool:
    return any(_is_linear(use.node, opset) and use.idx == 0 for use in value.uses())


def _is_linear(node: ir.Node, opset: int) -> bool:
    facet = TABLE[node.op_type].linear if node.op_type in TABLE else None
    weight = weight_shape_of(node)
    return facet is not None and weight is not None and facet.applies(Call.of(node, opset), weight)
