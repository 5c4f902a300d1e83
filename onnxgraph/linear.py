"""Conv, Gemm, MatMul and the input matrix of a recurrent node: `y = patches(x) @ W + b`."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import torch
from numpy.typing import NDArray
from torch import Tensor

from onnxgraph.groups.types import Consumer, Recurrence
from onnxgraph.lookup import constant_of, node_named, opset_of
from onnxgraph.operators import TABLE, Call
from onnxgraph.operators.facet import LinearFacet
from onnxgraph.operators.recurrence import RECURRENT_AXIS, RECURRENT_WEIGHT
from onnxgraph.parameters import add_initializer, bias_add, bias_side, set_bias, set_parameter


def unit_rows(consumer: Consumer | Recurrence, value: Tensor) -> Tensor:
    """Activations by unit, over samples and positions.

    Args:
        consumer: Where the units are read, by another node or as states by their own.
        value: The consumer's data, with all of its places on `unit_axis`.

    Returns:
        `(rows, units)`; the positions of a block are rows, all rows of a sample follow each other.
    """
    places = torch.as_tensor(np.array(consumer.positions.T), device=value.device)
    axes = (consumer.sample_axis, consumer.unit_axis)
    gathered = value.movedim(axes, (0, -1))[..., places]
    return gathered.reshape(-1, places.shape[1])


def patches(model: ir.Model, node: str, x: Tensor, chosen: Tensor | None = None) -> Tensor:
    """The rows that a linear node multiplies by its matrix.

    Args:
        model: The graph.
        node: The name of a Conv (of one group), Gemm or MatMul.
        x: The node's data, `(N, C, …)` for Conv.
        chosen: int64, which positions of each sample's output; None for all of them.

    Returns:
        `(rows, k)` with `k` channel-major: row `n · positions + p` for sample n, position p.
    """
    found = node_named(model, node)
    call, facet, weight = linear_parts(model, found)
    return facet.patches(call, x, weight.shape, chosen)


def weight_matrix(
    model: ir.Model, node: str
) -> tuple[NDArray[np.floating], NDArray[np.floating] | None]:
    """The matrix `(k, out)` and bias `(out,)` of a linear node, alpha and beta multiplied in.

    The bias of a MatMul is that of the Add behind it, if there is one.
    """
    found = node_named(model, node)
    call, facet, weight = linear_parts(model, found)
    columns = np.moveaxis(weight, (facet.input_axis(call), facet.output_axis(call)), (0, -1))
    matrix = columns.reshape(-1, columns.shape[-1])
    alpha, beta = facet.scales(call)
    bias = _bias(found, facet, matrix.shape[1])
    if bias is not None:
        flat = np.broadcast_to(bias.reshape(-1), matrix.shape[-1:]) if bias.size == 1 else bias
        bias = beta * flat.reshape(-1)
    return (matrix if alpha == 1.0 else alpha * matrix).copy(), bias


def weights_by_place(model: ir.Model, node: str) -> NDArray[np.floating]:
    """The matrix of a linear node as `(places on its unit axis, kernel positions, out)`."""
    matrix, _ = weight_matrix(model, node)
    call, facet, weight = linear_parts(model, node_named(model, node))
    return matrix.reshape(weight.shape[facet.input_axis(call)], -1, matrix.shape[1])


def with_weight_matrix(
    model: ir.Model,
    node: str,
    weight: NDArray[np.floating],
    bias: NDArray[np.floating] | None,
) -> None:
    """Puts a matrix `(k, out)` and bias `(out,)` back, in place, in the node's own layout and type.

    A bias is added to a node that has none (an Add behind a MatMul); None leaves it as it is.

    Raises:
        ValueError: If the matrix does not fit the node's weight.
    """
    found = node_named(model, node)
    call, facet, current = linear_parts(model, found)
    axes = (facet.input_axis(call), facet.output_axis(call))
    moved = np.moveaxis(current, axes, (0, -1)).shape
    if weight.shape != (int(np.prod(moved[:-1])), moved[-1]):
        raise ValueError(f"a matrix {weight.shape} does not fit the weight of '{node}'")
    if facet.scales(call) != (1.0, 1.0):
        bias = weight_matrix(model, node)[1] if bias is None else bias
        for name in ("alpha", "beta"):
            found.attributes[name] = ir.AttrFloat32(name, 1.0)
    set_parameter(model, found, 1, np.moveaxis(weight.reshape(moved), (0, -1), axes))
    if bias is not None:
        put_bias(model, found, bias)


def put_bias(model: ir.Model, node: ir.Node, bias: NDArray[np.floating]) -> None:
    """Gives a linear node the bias `(out,)`, in place, replacing or adding one.

    A recurrent node's B is Wb and Rb behind each other: the bias of its input matrix is Wb.
    """
    facet = TABLE[node.op_type].linear
    if facet is None or facet.bias_input == 2:
        set_bias(model, node, bias)
        return
    place = facet.bias_input
    tensor = constant_of(node.inputs[place]) if len(node.inputs) > place else None
    if tensor is not None:
        both = np.array(tensor.numpy())
        both[0, : bias.size] = bias
        set_parameter(model, node, place, both)
        return
    _, _, weight = linear_parts(model, node)
    both = np.concatenate([bias, np.zeros_like(bias)])[None].astype(weight.dtype)
    node.resize_inputs(max(len(node.inputs), place + 1))
    node.replace_input_with(place, add_initializer(model, f"{node.name}_bias", both))


def consumer_metric(model: ir.Model, consumer: Consumer) -> NDArray[np.float64]:
    """How the units' errors weigh at a consumer: M = Σ Wᵀ W (ALGORITHM.md, section 3).

    Returns:
        `(units, units)`, summed over kernel positions, outputs and the places of a block.
    """
    metric = np.zeros((consumer.positions.shape[0],) * 2)
    by_place = weights_by_place(model, consumer.node)
    for places in consumer.positions.T:  # One position at a time: Flatten makes large matrices.
        rows = by_place[places].reshape(places.size, -1).astype(np.float64)
        metric += rows @ rows.T
    return metric


def recurrent_metric(model: ir.Model, recurrence: Recurrence) -> NDArray[np.float64]:
    """How errors of a recurrent node's states weigh in its gates: M = Σ Rᵀ R, `(units, units)`."""
    tensor = constant_of(node_named(model, recurrence.node).inputs[RECURRENT_WEIGHT])
    assert tensor is not None
    columns = np.moveaxis(tensor.numpy(), RECURRENT_AXIS, 0).astype(np.float64)
    flat = columns.reshape(len(columns), -1)
    return np.asarray(
        sum(flat[places] @ flat[places].T for places in recurrence.positions.T), dtype=np.float64
    )


def materialise_bias(model: ir.Model, node: str) -> None:
    """Gives a linear node a bias with one place per output, in place, of the value it has now.

    A missing bias becomes zeros, a broadcast one is spread, Gemm's beta is multiplied in.
    """
    matrix, bias = weight_matrix(model, node)
    found = node_named(model, node)
    if "beta" in found.attributes:
        found.attributes["beta"] = ir.AttrFloat32("beta", 1.0)
    put_bias(model, found, np.zeros(matrix.shape[1], matrix.dtype) if bias is None else bias)


def linear_parts(model: ir.Model, node: ir.Node) -> tuple[Call, LinearFacet, NDArray[np.floating]]:
    """A linear node's call, facet and weight.

    Raises:
        ValueError: If it is no linear node with a constant weight.
    """
    call = Call.of(node, opset_of(model))
    facet = TABLE[node.op_type].linear if node.op_type in TABLE else None
    tensor = constant_of(node.inputs[1]) if len(node.inputs) > 1 else None
    if facet is None or tensor is None or not facet.applies(call, tuple(tensor.shape.numpy())):
        raise ValueError(f"'{node.name}' is no linear node with a constant weight")
    return call, facet, tensor.numpy()


def _bias(node: ir.Node, facet: LinearFacet, outputs: int) -> NDArray[np.floating] | None:
    if facet.has_bias_input:
        place = facet.bias_input
        tensor = constant_of(node.inputs[place]) if len(node.inputs) > place else None
    else:
        add = bias_add(node)
        tensor = None if add is None else constant_of(add.inputs[bias_side(add)])
    return None if tensor is None else tensor.numpy().reshape(-1)[:outputs]
