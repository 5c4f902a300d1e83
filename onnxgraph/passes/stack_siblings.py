"""Compute convolutions of one value together."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
from onnx_ir.convenience import replace_all_uses_with

from onnxgraph.lookup import constant_of
from onnxgraph.parameters import add_initializer

Array = npt.NDArray[np.generic]


class StackSiblings(ir.passes.InPlacePass):
    """Turns convolutions that read one value alike into one of all their channels, and a Split.

    Branches of a pack begin with such convolutions: of the same picture. Together they prepare it
    once. A Relu that is the only reader of each of them is taken along, for the Split is cheaper
    behind it. Exact: no number changes but by the order of sums.

    Requires: the working opset; weights as initializers.
    Ensures: no two convolutions that read one value with equal attributes, kernels and groups of 1.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Stacks in place."""
        found = list(_siblings(model.graph))
        for members in found:
            _stack(model, members)
        return ir.passes.PassResult(model, modified=bool(found))


def _siblings(graph: ir.Graph) -> Iterator[Sequence[ir.Node]]:
    """Yields two or more convolutions each that can be one."""
    alike: dict[object, list[ir.Node]] = {}
    for node in graph:
        if (key := _key(node)) is not None:
            alike.setdefault(key, []).append(node)
    yield from (members for members in alike.values() if len(members) > 1)


def _key(node: ir.Node) -> object | None:
    """What siblings have in common; None for what is no convolution with weights of its own."""
    if node.op_type != "Conv" or node.inputs[0] is None or node.outputs[0].is_graph_output():
        return None
    weight, bias = (constant_of(value) for value in (*node.inputs[1:], None)[:2])
    if weight is None or node.attributes.get_int("group", 1) != 1:
        return None
    if len(node.inputs) > 2 and node.inputs[2] is not None and bias is None:
        return None
    attributes = tuple(sorted((name, str(one.value)) for name, one in node.attributes.items()))
    kernel = tuple(weight.shape.numpy()[1:])
    rectified = _rectifier(node) is not None
    return id(node.inputs[0]), attributes, kernel, weight.dtype, rectified


def _rectifier(node: ir.Node) -> ir.Node | None:
    """The Relu that alone reads a node's output."""
    uses = node.outputs[0].uses()
    if len(uses) != 1:
        return None
    (use,) = uses
    is_output = use.node.outputs[0].is_graph_output()
    return use.node if use.node.op_type == "Relu" and not is_output else None


def _stack(model: ir.Model, members: Sequence[ir.Node]) -> None:
    first = members[0]
    name = f"stacked.{first.name}"
    weights = [_array(node, 1) for node in members]
    tape = ir.tape.Tape()
    inputs = [
        first.inputs[0],
        add_initializer(model, f"{name}.weight", np.concatenate(weights)),
        add_initializer(model, f"{name}.bias", np.concatenate([_bias(node) for node in members])),
    ]
    attributes = {key: one.value for key, one in first.attributes.items()}
    value = tape.op("Conv", inputs, attributes, name=name)
    ends = [node.outputs[0] for node in members]
    gone = list(members)
    if _rectifier(first) is not None:
        rectifiers = [found for node in members if (found := _rectifier(node)) is not None]
        value = tape.op("Relu", [value], name=f"{name}.relu")
        ends = [node.outputs[0] for node in rectifiers]
        gone += rectifiers
    sizes = np.array([len(weight) for weight in weights], dtype=np.int64)
    parts = tape.op_multi_out(
        "Split",
        [value, add_initializer(model, f"{name}.sizes", sizes)],
        {"axis": 1},
        num_outputs=len(members),
        name=f"{name}.split",
    )
    for end, part in zip(ends, parts, strict=True):
        part.name, part.type, part.shape = end.name, end.type, end.shape
        replace_all_uses_with(end, part)
    model.graph.insert_before(first, list(tape.nodes))
    model.graph.remove(gone, safe=True)


def _array(node: ir.Node, place: int) -> Array:
    tensor = constant_of(node.inputs[place])
    assert tensor is not None
    return tensor.numpy()


def _bias(node: ir.Node) -> Array:
    if len(node.inputs) > 2 and node.inputs[2] is not None:
        return _array(node, 2)
    weight = _array(node, 1)
    return np.zeros(len(weight), dtype=weight.dtype)
