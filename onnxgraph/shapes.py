"""Shapes of all values of a graph."""

from __future__ import annotations

import onnx_ir as ir
from onnx_ir.passes.common import ShapeInferencePass

from onnxgraph.errors import GraphError, GraphReason


def with_shapes(model: ir.Model) -> ir.Model:
    """The model itself if all of its shapes are known, else a copy with inferred shapes.

    Raises:
        GraphError: `GRAPH_SHAPE_DYNAMIC` if a shape stays unknown.
    """
    if _unknown(model) is None:
        return model
    inferred = model.clone()
    ShapeInferencePass(strict_mode=False)(inferred)
    missing = _unknown(inferred)
    if missing is not None:
        raise GraphError(
            GraphReason.GRAPH_SHAPE_DYNAMIC,
            f"The shape of '{missing.name}' cannot be inferred.",
            advice="Export the model with a fixed input size; only the batch may be open.",
            node=missing.name,
        )
    return inferred


def _unknown(model: ir.Model) -> ir.Value | None:
    """The first value that is read or returned and has no shape."""
    for node in model.graph:
        for output in node.outputs:
            if output.shape is None and (output.uses() or output.is_graph_output()):
                return output
    return None
