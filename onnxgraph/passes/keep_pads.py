"""Keep zeros that are padded in front of a MaxPool."""

import numpy as np
import onnx_ir as ir

from onnxgraph.passes.names import fresh_name

_VALUE = 2
_ZERO = -0.0
"""Equal to 0 in every comparison and sum, but not bit by bit."""

WRONG_FUSION = "Pad_Fusion"
"""ONNX Runtime's name for the optimizer that `KeepPads` is about."""


class KeepPads(ir.passes.InPlacePass):
    """Pads with −0 where a MaxPool reads a constant Pad of 0.

    ONNX Runtime (1.31 at least) makes such a Pad a part of the MaxPool, whose own padding is −∞:
    another maximum wherever all values of a window are negative, as in the stems of pre-activation
    networks. It knows the zero by its bits; −0 has others.

    Requires: constants lifted; Pad in its form since opset 11.
    Ensures: no MaxPool reads a Pad of +0.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Changes the constants in place."""
        taken: set[str | None] = set(ir.convenience.create_value_mapping(model.graph))
        pads = [node for node in model.graph if _before_max_pool(node) and _pads_zeros(node)]
        for node in pads:
            data = node.inputs[0]
            assert data is not None
            assert data.dtype is not None
            name = fresh_name(f"{node.name}_zero", taken)
            value = ir.Value(
                name=name,
                shape=ir.Shape([]),
                type=ir.TensorType(data.dtype),
                const_value=ir.tensor(np.array(_ZERO, data.dtype.numpy()), name=name),
            )
            model.graph.register_initializer(value)
            node.resize_inputs(max(len(node.inputs), _VALUE + 1))
            node.replace_input_with(_VALUE, value)
        return ir.passes.PassResult(model, modified=bool(pads))


def _before_max_pool(node: ir.Node) -> bool:
    """Whether a MaxPool reads a Pad of floating values by a constant."""
    data = node.inputs[0] if node.op_type == "Pad" else None
    if data is None or data.dtype is None or not data.dtype.is_floating_point():
        return False
    readers = {reader.op_type for reader in node.outputs[0].consumers()}
    return "MaxPool" in readers and node.attributes.get_string("mode", "constant") == "constant"


def _pads_zeros(node: ir.Node) -> bool:
    given = node.inputs[_VALUE] if len(node.inputs) > _VALUE else None
    if given is None:
        return True
    return given.const_value is not None and not np.any(given.const_value.numpy())
