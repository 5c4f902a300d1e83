"""The one layer that computes what siblings compute."""

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from onnxgraph.parameters import add_initializer
from onnxgraph.siblings.find import Array, Layout, Siblings, bias_of, groups_of, weight_of, width_of


def axis_of(node: ir.Node) -> int:
    """The axis of channels in what a layer reads and gives."""
    return -1 if node.op_type == "MatMul" else 1


def join(model: ir.Model, siblings: Siblings, layout: Layout) -> None:
    """Replaces siblings by one layer and a Split, and a Concat before it unless they are stacked.

    Args:
        model: The graph, changed in place; its nodes may stand out of order afterwards.
        siblings: Some of its layers.
        layout: One of their layouts, not `Layout.SEPARATE`.
    """
    first, members = siblings.members[0], siblings.members
    name = f"{layout}.{first.name}"
    tape = ir.tape.Tape()
    data = first.inputs[0]
    if layout is not Layout.STACKED:
        read = [node.inputs[0] for node in members]
        data = tape.op("Concat", read, {"axis": axis_of(first)}, name=f"{name}.concat")
    value = layer(tape, model, siblings, layout, data)
    sizes = np.array([width_of(node) for node in members], dtype=np.int64)
    parts = tape.op_multi_out(
        "Split",
        [value, add_initializer(model, f"{name}.sizes", sizes)],
        {"axis": axis_of(first)},
        num_outputs=len(members),
        name=f"{name}.split",
    )
    for node, part in zip(members, parts, strict=True):
        old = node.outputs[0]
        part.name, part.type, part.shape = old.name, old.type, old.shape
        ir.convenience.replace_all_uses_with(old, part)
    model.graph.extend(list(tape.nodes))
    model.graph.remove(list(members), safe=True)


def layer(
    tape: ir.tape.Tape,
    model: ir.Model,
    siblings: Siblings,
    layout: Layout,
    data: ir.Value | None,
) -> ir.Value:
    """Adds the one layer of all siblings to a tape.

    Args:
        tape: Takes the node.
        model: Takes its weights.
        siblings: What it computes.
        layout: One of their layouts, not `Layout.SEPARATE`.
        data: What it reads: their values joined, or the one that all of them read.
    """
    first, members = siblings.members[0], siblings.members
    name = f"{layout}.{first.name}"
    attributes = {key: one.value for key, one in first.attributes.items()}
    weights = [weight_of(node) for node in members]
    if layout is Layout.GROUPED:
        attributes["group"] = sum(groups_of(node) for node in members)
    arranged = block_diagonal if layout is Layout.BLOCK_DIAGONAL else np.concatenate
    inputs = [data, add_initializer(model, f"{name}.weight", arranged(weights))]
    if any(bias_of(node) is not None for node in members):
        bias = np.concatenate([_bias(node) for node in members])
        inputs.append(add_initializer(model, f"{name}.bias", bias))
    value = tape.op(first.op_type, inputs, attributes, name=name)
    value.type = first.outputs[0].type
    value.shape = _wider(first.outputs[0].shape, axis_of(first), sum(map(width_of, members)))
    return value


def block_diagonal(weights: Sequence[Array]) -> Array:
    """A weight `(Σ out, Σ in, ...)`: on its diagonal the weights `(out, in, ...)`, else zero."""
    rows, columns = (sum(weight.shape[axis] for weight in weights) for axis in (0, 1))
    whole = np.zeros((rows, columns, *weights[0].shape[2:]), dtype=weights[0].dtype)
    row = column = 0
    for weight in weights:
        height, width = weight.shape[:2]
        whole[row : row + height, column : column + width] = weight
        row, column = row + height, column + width
    return whole


def _bias(node: ir.Node) -> Array:
    bias = bias_of(node)
    return np.zeros(width_of(node), weight_of(node).dtype) if bias is None else bias.reshape(-1)


def _wider(shape: ir.Shape | None, axis: int, width: int) -> ir.Shape | None:
    if shape is None:
        return None
    sizes = list(shape)
    sizes[axis] = width
    return ir.Shape(sizes)
