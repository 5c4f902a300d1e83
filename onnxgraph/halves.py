"""The two halves of a graph that is cut where it hangs by one tensor."""

from __future__ import annotations

import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from onnxgraph.cuts import CutPoint
from onnxgraph.lookup import values_by_name
from onnxgraph.shapes import with_shapes

INPUT = "spliced"
"""The input of what stands behind a cut."""


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
