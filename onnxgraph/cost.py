"""What a graph costs: parameters, multiply-accumulates, bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import onnx_ir as ir

from onnxgraph.limits import DEFAULT_LIMITS
from onnxgraph.lookup import opset_of
from onnxgraph.operators import TABLE, Call
from onnxgraph.operators.step import dims_of
from onnxgraph.passes.infer_shapes import InferShapes, forget_shapes
from onnxgraph.shapes import with_shapes


@dataclass(frozen=True)
class NodeCost:
    """The share of one node.

    Attributes:
        parameters: Elements of its floating initializers; a shared one counts at its first user.
        macs: Multiply-accumulates per sample.
    """

    parameters: int
    macs: int


@dataclass(frozen=True)
class Cost:
    """The cost of a graph.

    Attributes:
        parameters: Elements of all floating initializers.
        macs: Multiply-accumulates of Conv, Gemm and MatMul per sample.
        bytes: Size of all initializers in bytes.
        by_node: The shares of nodes that have any, by node name, in topological order.
    """

    parameters: int
    macs: int
    bytes: int
    by_node: Mapping[str, NodeCost]


def cost(model: ir.Model) -> Cost:
    """Counts parameters, MACs and bytes.

    An open size other than the batch (a sequence) counts as 1. BatchNormalization is expected to
    be folded (`normalise`), for its parameters would count as well.

    Raises:
        GraphError: `GRAPH_SHAPE_DYNAMIC` if a shape cannot be inferred.
    """
    shaped = with_shapes(_of_one_sample(model))
    opset = opset_of(shaped)
    counted: set[str] = set()
    by_node: dict[str, NodeCost] = {}
    for node in shaped.graph:
        share = NodeCost(_parameters(node, counted), _macs(node, opset))
        if share != NodeCost(0, 0):
            by_node[node.name or ""] = share
    tensors = [v.const_value for v in shaped.graph.initializers.values() if v.const_value]
    return Cost(
        parameters=sum(tensor.size for tensor in tensors if tensor.dtype.is_floating_point()),
        macs=sum(share.macs for share in by_node.values()),
        bytes=sum(tensor.nbytes for tensor in tensors),
        by_node=by_node,
    )


def _of_one_sample(model: ir.Model) -> ir.Model:
    """A copy whose batch is 1: what a Reshape merged with the batch (heads, windows) has a size."""
    result = model.clone()
    for value in result.graph.inputs:
        if value.shape is not None and len(value.shape) and not isinstance(value.shape[0], int):
            value.shape = ir.Shape([1, *list(value.shape)[1:]])
    forget_shapes(result)
    InferShapes(DEFAULT_LIMITS)(result)
    return result


def _parameters(node: ir.Node, counted: set[str]) -> int:
    """Elements of the floating initializers that `node` is the first to read."""
    total = 0
    for value in node.inputs:
        if value is None or not value.is_initializer() or value.name in counted:
            continue
        tensor = value.const_value
        if tensor is not None and value.name and tensor.dtype.is_floating_point():
            counted.add(value.name)
            total += prod(tensor.shape.numpy())
    return total


def _macs(node: ir.Node, opset: int) -> int:
    inputs = tuple(dims_of(value) for value in node.inputs)
    outputs = tuple(dims_of(value) for value in node.outputs)
    return TABLE[node.op_type].macs(Call.of(node, opset), inputs, outputs)
