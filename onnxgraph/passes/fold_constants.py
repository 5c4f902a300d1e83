"""Compute what is constant, and drop nodes that change nothing."""

import math

import onnx_ir as ir
from onnx_ir.passes.common import (
    IdentityEliminationPass,
    LiftConstantsToInitializersPass,
    RemoveUnusedNodesPass,
)
from onnxscript.optimizer import fold_constants
from onnxscript.rewriter import RewritePass
from onnxscript.rewriter.rules import common as rules

from onnxgraph.errors import GraphError, GraphReason

_INPUT_ELEMENTS = 2**26
_OUTPUT_ELEMENTS = 2**26
_SMALL = 4096
_ROUNDS = 8
_EXPANDING = frozenset({"ConstantOfShape", "Expand", "Pad"})
_NEUTRAL = (
    rules.dropout_inference_rule,
    rules.dropout_zero_rule,
    *rules.mul_by_1_rule.commute(),
    *rules.add_0_rule.commute(),
    rules.sub_0_rule,
    rules.div_by_1_rule,
    rules.no_op_cast_rule,
    rules.no_op_expand_rule,
    rules.no_op_transpose_rule,
    *rules.fuse_hardswish_rules(),
)


class FoldConstants(ir.passes.InPlacePass):
    """Folds constants, lifts them to initializers and removes neutral and unused nodes.

    onnxscript's `optimize` would also turn Flatten into Reshape and share equal initializers,
    which surgery would have to undo: only its folding and its neutral rules are used.

    Requires: recorded shapes are those of every batch size (`FreeBatch`).
    Ensures: no Constant, Identity or Dropout node, no unused node or initializer.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Folds in place until nothing changes, at most eight times.

        Raises:
            GraphError: `GRAPH_INVALID` if a constant cannot be computed.
        """
        modified = False
        for _ in range(_ROUNDS):
            changed = False
            changed |= _fold(model)
            for step in (
                RewritePass(_NEUTRAL),
                LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
                IdentityEliminationPass(),
                RemoveUnusedNodesPass(),
            ):
                changed |= step(model).modified
            modified |= changed
            if not changed:
                break
        return ir.passes.PassResult(model, modified=modified)


def _fold(model: ir.Model) -> bool:
    try:
        result = fold_constants(
            model,
            onnx_shape_inference=True,
            input_size_limit=_INPUT_ELEMENTS,
            output_size_limit=_OUTPUT_ELEMENTS,
            should_fold=_affordable,
        )
    except RuntimeError as error:
        raise GraphError(
            GraphReason.GRAPH_INVALID,
            f"A constant cannot be computed: {str(error).splitlines()[0][:300]}",
            advice="Check the file with onnx.checker.check_model and export it again.",
        ) from error
    return bool(result.modified)


def _affordable(node: ir.Node) -> bool | None:
    """Keeps a few constant bytes from declaring gigabytes; None leaves it to the size limits."""
    if node.op_type not in _EXPANDING:
        return None
    sizes = [value.const_value for value in node.inputs if value is not None]
    small = all(tensor is not None and tensor.size <= _SMALL for tensor in sizes)
    if not small:
        return False
    if node.op_type == "Pad":
        return _pad_elements(node) <= _SMALL
    target = [abs(int(size)) for tensor in sizes if tensor for size in tensor.numpy().ravel()]
    return math.prod(max(size, 1) for size in target) <= _SMALL


def _pad_elements(node: ir.Node) -> int:
    data, pads = node.inputs[0], node.inputs[1]
    if data is None or pads is None or data.const_value is None or pads.const_value is None:
        return _SMALL + 1
    grown = int(abs(pads.const_value.numpy()).max(initial=0)) * 2
    sizes = [size + grown for size in data.const_value.numpy().shape]
    return math.prod(sizes)
