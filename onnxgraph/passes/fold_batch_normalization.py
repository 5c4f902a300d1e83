"""Fold BatchNormalization into the linear node before it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from onnxgraph.passes.names import fresh_name
from onnxgraph.passes.rewire import replace_node

_Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Linear:
    """A linear node with constant weights and the value that the normaliser reads."""

    node: ir.Node
    weight: ir.Value
    unit_axis: int
    bias: ir.Value | None
    bias_node: ir.Node


class FoldBatchNormalization(ir.passes.InPlacePass):
    """Scales weights and bias so that a normaliser after them is not needed.

    y = γ (W x + b − μ) / √(σ² + ε) + β is linear in x; the new weights are computed in float64.
    Folded are Conv, Gemm and MatMul, the last also with its bias as an Add of its own, where the
    normaliser is the only reader.

    Requires: constants lifted; every initializer with one use (`UnshareInitializers`).
    Ensures: no BatchNormalization directly after such a node.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Folds in place."""
        graph = model.graph
        taken = {value.name for value in ir.convenience.create_value_mapping(graph).values()}
        modified = False
        for node in list(graph):
            if node.op_type != "BatchNormalization":
                continue
            linear = _linear_before(node)
            affine = _affine(node)
            if linear is None or affine is None:
                continue
            _fold(node, linear, affine, taken)
            modified = True
        return ir.passes.PassResult(model, modified=modified)


def _linear_before(normaliser: ir.Node) -> _Linear | None:
    """The linear node that the normaliser reads, if nothing else reads it."""
    node = _sole_producer(normaliser.inputs[0])
    if node is None:
        return None
    if node.op_type in ("Conv", "Gemm"):
        return _with_weight(node, node.inputs[2] if len(node.inputs) > 2 else None, node)
    if node.op_type == "MatMul":
        return _with_weight(node, None, node)
    if node.op_type != "Add":
        return None
    for product, bias in (node.inputs, reversed(node.inputs)):
        source = _sole_producer(product)
        if source is not None and source.op_type == "MatMul":
            return _with_weight(source, bias, node)
    return None


def _with_weight(node: ir.Node, bias: ir.Value | None, bias_node: ir.Node) -> _Linear | None:
    weight, array = node.inputs[1], _constant(node.inputs[1])
    if weight is None or array is None:
        return None
    if bias is not None and not _is_row(_constant(bias)):
        return None
    if node.op_type == "MatMul":
        # A normaliser takes its channels from axis 1: only in `(N, K) @ (K, U)` are these units.
        shape = node.outputs[0].shape
        fits = array.ndim == 2 and shape is not None and len(shape) == 2
        return _Linear(node, weight, 1, bias, bias_node) if fits else None
    transposed = bool(node.attributes.get_int("transB", 0))
    axis = 0 if node.op_type == "Conv" or transposed else 1
    return _Linear(node, weight, axis, bias, bias_node)


def _affine(normaliser: ir.Node) -> tuple[_Array, _Array] | None:
    """Scale and offset `(U,)` with BatchNormalization(x) = scale · x + offset, in float64."""
    arrays = [_constant(value) for value in normaliser.inputs[1:5]]
    if len(arrays) < 4 or any(array is None for array in arrays):
        return None
    gamma, beta, mean, variance = (np.asarray(array, np.float64) for array in arrays)
    with np.errstate(all="ignore"):
        scale = gamma / np.sqrt(variance + normaliser.attributes.get_float("epsilon", 1e-5))
        offset = beta - mean * scale
    if not (np.isfinite(scale).all() and np.isfinite(offset).all()):
        return None
    return scale, offset


def _fold(
    normaliser: ir.Node, linear: _Linear, affine: tuple[_Array, _Array], taken: set[str | None]
) -> None:
    scale, offset = affine
    weight = np.asarray(_constant(linear.weight), np.float64)
    shape = [1] * weight.ndim
    shape[linear.unit_axis] = -1
    _set(linear.weight, weight * scale.reshape(shape))
    output = linear.bias_node.outputs[0]
    if linear.bias is not None:
        # Gemm multiplies its bias by beta: that is folded in, and the attribute goes.
        beta = linear.bias_node.attributes.get_float("beta", 1.0)
        linear.bias_node.attributes.pop("beta", None)
        bias = np.asarray(_constant(linear.bias), np.float64).ravel()
        _set(linear.bias, beta * bias * scale + offset)
        replace_node(normaliser, "Identity", [output])
        return
    bias_value = _initializer(normaliser, fresh_name(f"{linear.weight.name}_bias", taken), offset)
    if linear.node.op_type == "MatMul":
        replace_node(normaliser, "Add", [output, bias_value])
        return
    linear.node.attributes.pop("beta", None)
    linear.node.resize_inputs(3)
    linear.node.replace_input_with(2, bias_value)
    replace_node(normaliser, "Identity", [output])


def _initializer(node: ir.Node, name: str, array: _Array) -> ir.Value:
    value = ir.Value(name=name)
    _set(value, array)
    graph = node.graph
    assert isinstance(graph, ir.Graph)
    graph.register_initializer(value)
    return value


def _set(value: ir.Value, array: _Array) -> None:
    value.const_value = ir.tensor(array.astype(np.float32), name=value.name)
    value.shape = ir.Shape(array.shape)
    value.type = ir.TensorType(ir.DataType.FLOAT)


def _sole_producer(value: ir.Value | None) -> ir.Node | None:
    """The node that makes a value which one node reads, and the graph does not return."""
    if value is None or len(value.uses()) != 1 or value.is_graph_output():
        return None
    return value.producer()


def _constant(value: ir.Value | None) -> npt.NDArray[np.generic] | None:
    """The data of an initializer that only one input reads."""
    if value is None or value.const_value is None or not value.is_initializer():
        return None
    if value.is_graph_input() or value.is_graph_output() or len(value.uses()) > 1:
        return None
    return value.const_value.numpy()


def _is_row(bias: npt.NDArray[np.generic] | None) -> bool:
    """Whether a bias holds one number, or one per unit along its last axis."""
    return bias is not None and (bias.size == 1 or bias.shape[-1] == bias.size)
