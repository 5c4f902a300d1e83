"""Remove initial states that are zero, and lengths that are those of all steps."""

import numpy as np
import onnx_ir as ir

from onnxgraph.errors import GraphError, GraphReason
from onnxgraph.lookup import opset_of
from onnxgraph.operators import Call
from onnxgraph.operators.recurrence import GATES, unsupported
from onnxgraph.passes.shape_values import shape_values

_LENGTHS = 4
_STATES = (5, 6)
_MOVING = frozenset(
    {"Cast", "Expand", "Gather", "Identity", "Reshape", "Slice", "Split", "Squeeze", "Tile"}
    | {"Transpose", "Unsqueeze"}
)
"""Operators whose output is zero where their first input is."""


class DropZeroStates(ir.passes.InPlacePass):
    """Leaves out what LSTM, GRU and RNN take for granted: zero states, full lengths.

    Exporters write one tensor of zeros for all layers, as large as the batch, and slice it: the
    batch size, often baked in, and the width of the hidden state would have to follow every cut.

    Requires: constants lifted.
    Ensures: no recurrent node has an initial state that is zero for every input. Lengths that
    depend on shapes alone are gone (`normalise` compares the result with the original), and so are
    constant ones that count every step; any other setting that is not supported is refused. What
    is no longer used stays for `FoldConstants`.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Removes the inputs in place.

        Raises:
            GraphError: `GRAPH_OPERATOR_UNSUPPORTED` for a setting that is not supported.
        """
        modified = False
        computed: frozenset[ir.Value] | None = None
        for node in model.graph:
            if node.op_type not in GATES:
                continue
            if computed is None:
                computed = shape_values(model)
            for place in _given(node, (_LENGTHS, *_STATES)):
                value = node.inputs[place]
                assert value is not None
                gone = _counts_all(value, node, computed) if place == _LENGTHS else is_zero(value)
                if gone:
                    node.replace_input_with(place, None)
                    modified = True
            _check(node, opset_of(model))
        return ir.passes.PassResult(model, modified=modified)


def _check(node: ir.Node, opset: int) -> None:
    lengths = len(node.inputs) > _LENGTHS and node.inputs[_LENGTHS] is not None
    problem = unsupported(Call.of(node, opset), has_lengths=lengths)
    if problem is not None:
        raise GraphError(
            GraphReason.GRAPH_OPERATOR_UNSUPPORTED,
            f"Node {node.name!r} ({node.op_type}) {problem}.",
            advice="Export a plain layer: steps first, default activations, no clipping, and "
            "sequences padded to one length in place of packed ones.",
            node=node.name,
            metadata={"operator": node.op_type},
        )


def _given(node: ir.Node, places: tuple[int, ...]) -> list[int]:
    """Those of the inputs that the node has; an LSTM's states alone are two."""
    last = {"LSTM": 6}.get(node.op_type, 5)
    return [p for p in places if p <= last and p < len(node.inputs) and node.inputs[p] is not None]


def is_zero(value: ir.Value) -> bool:
    """Whether a value holds nothing but zeros, whatever the inputs are."""
    if value.is_graph_input():
        return False
    if value.const_value is not None:
        return not np.any(value.const_value.numpy())
    node = value.producer()
    if node is None:
        return False
    if node.op_type == "ConstantOfShape":
        fill = node.attributes.get("value")
        return fill is None or not np.any(fill.as_tensor().numpy())
    parts = node.inputs if node.op_type == "Concat" else node.inputs[:1]
    if node.op_type != "Concat" and node.op_type not in _MOVING:
        return False
    return all(part is not None and is_zero(part) for part in parts)


def _counts_all(value: ir.Value, node: ir.Node, computed: frozenset[ir.Value]) -> bool:
    if value in computed:
        return True
    data = node.inputs[0]
    if value.const_value is None or value.is_graph_input() or data is None or data.shape is None:
        return False
    return bool(np.all(value.const_value.numpy() == data.shape[0]))
