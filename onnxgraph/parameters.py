"""Changing the constants of nodes, in place, without touching other nodes that share them."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from onnxgraph.lookup import constant_of, unused_name


def set_parameter(model: ir.Model, node: ir.Node, index: int, array: NDArray[Any]) -> None:
    """Gives input `index` of `node` a new constant, in the type of the old one.

    A constant that other nodes or inputs read as well is left to them and copied for this one.
    """
    value = node.inputs[index]
    old = constant_of(value)
    if value is None or old is None:
        raise ValueError(f"input {index} of '{node.name}' is no constant")
    array = np.ascontiguousarray(array.astype(old.numpy().dtype))
    shared = len(value.uses()) > 1 or value.is_graph_output() or not value.is_initializer()
    if shared:
        value = add_initializer(model, f"{value.name}_of_{node.name}", array)
        node.replace_input_with(index, value)
    else:
        value.const_value = ir.tensor(array, name=value.name)
        value.shape = ir.Shape(array.shape)


def add_initializer(model: ir.Model, name: str, array: NDArray[Any]) -> ir.Value:
    """A new initializer with a name of its own, near `name`."""
    name = unused_name(model.graph, name)
    tensor = ir.tensor(array, name=name)
    value = ir.Value(
        name=name,
        type=ir.TensorType(tensor.dtype),
        shape=ir.Shape(array.shape),
        const_value=tensor,
    )
    model.graph.register_initializer(value)
    return value


def weight_shape_of(node: ir.Node) -> tuple[int, ...] | None:
    """The shape of the constant at input 1 of a node, None without one."""
    tensor = constant_of(node.inputs[1]) if len(node.inputs) > 1 else None
    return None if tensor is None else tuple(tensor.shape.numpy())


def bias_add(node: ir.Node) -> ir.Node | None:
    """The Add behind a MatMul that is its bias: one constant per output column, nothing else."""
    if node.op_type != "MatMul" or len(node.inputs) < 2:
        return None
    output, weight = node.outputs[0], constant_of(node.inputs[1])
    uses = output.uses()
    if weight is None or len(uses) != 1 or output.is_graph_output():
        return None
    add = next(iter(uses)).node
    if add.op_type != "Add" or add.inputs[0] is add.inputs[1]:
        return None
    bias = constant_of(add.inputs[bias_side(add, output)])
    width = weight.shape.numpy()[-1]
    if bias is None or bias.size != width or (bias.shape.numpy() or (0,))[-1] != width:
        return None
    return add


def bias_side(add: ir.Node, data: ir.Value | None = None) -> int:
    """Which input of a bias Add is the bias: TorchScript writes it first, dynamo second."""
    if data is not None:
        return 1 if add.inputs[0] is data else 0
    return 0 if constant_of(add.inputs[0]) is not None else 1


def set_bias(model: ir.Model, node: ir.Node, bias: NDArray[Any]) -> None:
    """Gives a linear node the bias `(out,)`, replacing or adding one.

    A MatMul gets an Add behind it; the Add's output takes over the name that later nodes read.
    """
    if node.op_type == "MatMul":
        add = bias_add(node)
        if add is None:
            _insert_add(model, node, bias)
        else:
            _replace_bias(model, add, bias_side(add, node.outputs[0]), bias)
        return
    if len(node.inputs) > 2 and node.inputs[2] is not None:
        _replace_bias(model, node, 2, bias)
        return
    weight = constant_of(node.inputs[1])
    assert weight is not None
    node.resize_inputs(3)
    array = bias.astype(weight.numpy().dtype)
    node.replace_input_with(2, add_initializer(model, f"{node.name}_bias", array))


def _replace_bias(model: ir.Model, node: ir.Node, index: int, bias: NDArray[Any]) -> None:
    old = constant_of(node.inputs[index])
    if old is None:
        raise ValueError(f"the bias of '{node.name}' is computed")
    shape = old.shape.numpy() if old.size == bias.size else bias.shape
    set_parameter(model, node, index, bias.reshape(shape))


def _insert_add(model: ir.Model, node: ir.Node, bias: NDArray[Any]) -> None:
    weight, output = constant_of(node.inputs[1]), node.outputs[0]
    assert weight is not None
    name = output.name or ""
    constant = add_initializer(model, f"{node.name}_bias", bias.astype(weight.numpy().dtype))
    output.name = unused_name(model.graph, f"{name}_without_bias")
    shifted = ir.Value(name=name, type=output.type, shape=output.shape)
    output.replace_all_uses_with(shifted, replace_graph_outputs=True)
    add_name = unused_name(model.graph, f"{node.name}_add_bias")
    model.graph.insert_after(
        node, ir.node("Add", [output, constant], outputs=[shifted], name=add_name)
    )
