"""Compute once what is computed alike of all parts of a Split."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import onnx_ir as ir
from onnx_ir.convenience import replace_all_uses_with

from onnxgraph.lookup import constant_of
from onnxgraph.parameters import add_initializer

ELEMENTWISE = (
    *("Add", "Clip", "Elu", "Erf", "Gelu", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu"),
    *("Mul", "Relu", "Sigmoid", "Softplus", "Sub", "Tanh"),
)
POOLS = ("AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MaxPool")
"""They keep channels apart."""


class SinkSplits(ir.passes.InPlacePass):
    """Moves every Split behind what all its parts go through alike, and out of what joins them.

    Where siblings run as one layer, a Split stands behind it and a Concat before the next such
    layer; between them stand rectifiers, pools and sums. Exact: no number changes.

    Requires: the working opset, shapes inferred, weights as initializers.
    Ensures: no parts of a Split are joined again in their order, or go through one operator of
    `ELEMENTWISE` or `POOLS` or through Flatten with equal attributes; nodes in order.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Sinks in place."""
        waiting = [node for node in model.graph if node.op_type == "Split"]
        modified = False
        while waiting:
            split = waiting.pop()
            for alike in list(_alike(split)):
                sunk = _sink(model, split, alike)
                waiting.append(sunk)
                modified = True
            modified |= _rejoin(split)
        if modified:
            model.graph.sort()
        return ir.passes.PassResult(model, modified=modified)


def _axis(split: ir.Node) -> int:
    """The axis of a Split, from the front."""
    data = split.inputs[0]
    axis = split.attributes.get_int("axis", 0)
    rank = len(data.shape) if data is not None and data.shape is not None else 0
    return axis % rank if rank else axis


def _sizes(split: ir.Node) -> tuple[int, ...] | None:
    tensor = constant_of(split.inputs[1]) if len(split.inputs) > 1 else None
    return None if tensor is None else tuple(int(size) for size in tensor.numpy())


def _alike(split: ir.Node) -> Iterator[tuple[ir.Node, ...]]:
    """Yields nodes, one for each part, that do the same to it."""
    if _sizes(split) is None:
        return
    used: set[int] = set()
    for first in split.outputs[0].consumers():
        place = _place(first, split.outputs[0])
        found = [first]
        for part in split.outputs[1:]:
            found += [
                node
                for node in part.consumers()
                if id(node) not in used and _place(node, part) == place and _does_as(node, first)
            ][:1]
        if len(found) == len(split.outputs) and _can_be_one(split, found):
            used |= {id(node) for node in found}
            yield tuple(found)


def _place(node: ir.Node, value: ir.Value) -> int:
    return next(index for index, read in enumerate(node.inputs) if read is value)


def _does_as(node: ir.Node, other: ir.Node) -> bool:
    return (
        node is not other
        and node.op_type == other.op_type
        and len(node.inputs) == len(other.inputs)
        and {name: str(one.value) for name, one in node.attributes.items()}
        == {name: str(one.value) for name, one in other.attributes.items()}
    )


def _can_be_one(split: ir.Node, nodes: Sequence[ir.Node]) -> bool:
    """Whether one node on the whole does what these do to the parts."""
    first = nodes[0]
    if len({id(node) for node in nodes}) < len(nodes):
        return False
    if any(node.outputs[0].is_graph_output() or len(node.outputs) > 1 for node in nodes):
        return False
    if any(node.outputs[0].shape is None for node in nodes):
        return False
    if first.op_type == "Flatten":
        return first.attributes.get_int("axis", 1) == 1 == _axis(split) and _flat(split) is not None
    if first.op_type in POOLS:
        return _axis(split) == 1
    return first.op_type in ELEMENTWISE and _operands(split, nodes) is not None


def _operands(split: ir.Node, nodes: Sequence[ir.Node]) -> list[ir.Value | None] | None:
    """What one node for all parts reads; None where there is nothing like it."""
    found: list[ir.Value | None] = []
    for index in range(len(nodes[0].inputs)):
        values = [node.inputs[index] for node in nodes]
        if all(value is values[0] for value in values) and _is_for_all(values[0]):
            found.append(values[0])
        elif (whole := _whole(split, values)) is not None:
            found.append(whole)
        else:
            return None
    return found


def _is_for_all(value: ir.Value | None) -> bool:
    """Whether an operand is one number, or left out."""
    tensor = constant_of(value)
    return value is None or (tensor is not None and tensor.size == 1)


def _whole(split: ir.Node, values: Sequence[ir.Value | None]) -> ir.Value | None:
    """What values are the parts of, if they are parted as by `split`."""
    source = values[0].producer() if values[0] is not None else None
    if source is None or source.op_type != "Split":
        return None
    if [id(value) for value in source.outputs] != [id(value) for value in values]:
        return None
    whole, other = source.inputs[0], split.inputs[0]
    if whole is None or other is None or len(whole.shape or ()) != len(other.shape or ()):
        return None
    same = _axis(source) == _axis(split) and _sizes(source) == _sizes(split)
    return whole if same else None


def _flat(split: ir.Node) -> int | None:
    """Elements of a channel, None where a size is open."""
    shape = split.inputs[0].shape if split.inputs[0] is not None else None
    if shape is None:
        return None
    sizes = [size for size in list(shape)[2:] if isinstance(size, int)]
    return math.prod(sizes) if len(sizes) == len(shape) - 2 else None


def _sink(model: ir.Model, split: ir.Node, nodes: Sequence[ir.Node]) -> ir.Node:
    """Puts one node in the place of several, and a Split behind it; returns the Split."""
    first = nodes[0]
    inputs = _operands(split, nodes) if first.op_type in ELEMENTWISE else [split.inputs[0]]
    assert inputs is not None
    attributes = {name: one.value for name, one in first.attributes.items()}
    name = f"joined.{first.name}"
    tape = ir.tape.Tape()
    value = tape.op(first.op_type, inputs, attributes, name=name)
    sizes = np.array(_sizes(split), dtype=np.int64)
    if first.op_type == "Flatten":
        sizes *= _flat(split) or 1
    axis = _axis(split)
    part_shape = list(first.outputs[0].shape or ())
    part_shape[axis] = int(sizes.sum())
    value.shape, value.type = ir.Shape(part_shape), first.outputs[0].type
    parts = tape.op_multi_out(
        "Split",
        [value, add_initializer(model, f"{name}.sizes", sizes)],
        {"axis": axis},
        num_outputs=len(nodes),
        name=f"{name}.split",
    )
    for node, part in zip(nodes, parts, strict=True):
        old = node.outputs[0]
        part.name, part.type, part.shape = old.name, old.type, old.shape
        replace_all_uses_with(old, part)
    model.graph.extend(list(tape.nodes))
    model.graph.remove(list(nodes), safe=True)
    return tape.nodes[-1]


def _rejoin(split: ir.Node) -> bool:
    """Lets every Concat that joins all parts in their order read the whole instead."""
    modified = False
    for concat in list(split.outputs[0].consumers()):
        if concat.op_type != "Concat" or _concat_axis(concat) != _axis(split):
            continue
        inputs, parts = list(concat.inputs), list(split.outputs)
        start = inputs.index(parts[0])
        if [id(one) for one in inputs[start : start + len(parts)]] != [id(one) for one in parts]:
            continue
        rest = [*inputs[:start], split.inputs[0], *inputs[start + len(parts) :]]
        if len(rest) == 1 and not concat.outputs[0].is_graph_output():
            whole = split.inputs[0]
            assert whole is not None
            replace_all_uses_with(concat.outputs[0], whole)
            graph = concat.graph
            assert isinstance(graph, ir.Graph)
            graph.remove(concat, safe=True)
        else:
            concat.resize_inputs(len(rest))
            for index, value in enumerate(rest):
                concat.replace_input_with(index, value)
        modified = True
    return modified


def _concat_axis(concat: ir.Node) -> int:
    axis = concat.attributes.get_int("axis", 0)
    shape = concat.outputs[0].shape
    return axis % len(shape) if shape is not None and len(shape) else axis
