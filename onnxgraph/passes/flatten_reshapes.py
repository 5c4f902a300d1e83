"""Write a Reshape that keeps the batch and joins the rest as Flatten."""

import math

import onnx_ir as ir

from onnxgraph.passes.rewire import replace_node


class FlattenReshapes(ir.passes.InPlacePass):
    """Turns Reshape `(N, ...)` to `[-1, K]` or `[0, K]` into Flatten where K is all but the batch.

    A Flatten holds no sizes: it stays right when units are cut.

    Requires: inferred shapes; Reshape targets folded.
    Ensures: no such Reshape.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Replaces the nodes in place."""
        modified = False
        for node in list(model.graph):
            if node.op_type != "Reshape" or not _flattens(node):
                continue
            replace_node(node, "Flatten", [node.inputs[0]], [ir.AttrInt64("axis", 1)])
            modified = True
        return ir.passes.PassResult(model, modified=modified)


def _flattens(node: ir.Node) -> bool:
    data, target = node.inputs[0], node.inputs[1]
    if data is None or data.shape is None or target is None or target.const_value is None:
        return False
    rest = list(data.shape[1:])
    if len(data.shape) < 2 or isinstance(data.shape[0], int):
        return False
    if not all(isinstance(size, int) for size in rest):
        return False
    goal = [int(size) for size in target.const_value.numpy().ravel()]
    return goal in ([-1, math.prod(rest)], [0, math.prod(rest)], [0, -1])
