"""Siblings without the graph around them: what there is to time."""

import itertools
from collections.abc import Sequence

import onnx_ir as ir

from onnxgraph.passes.raise_opset import WORKING_IR_VERSION, WORKING_OPSET
from onnxgraph.passes.sink_splits import ELEMENTWISE, POOLS
from onnxgraph.serialise import LOWEST_IR_VERSION, lowest_opset
from onnxgraph.siblings.find import Layout, Siblings
from onnxgraph.siblings.joined import axis_of, layer

Sizes = tuple[int, ...]
"""Of a value without its batch."""

FOLLOWING = (*ELEMENTWISE, *POOLS, "Flatten")
"""What runs on joined values as on each."""

BATCH, SIZE = "batch", "size"


def alone(siblings: Siblings, layout: Layout) -> ir.Model:
    """Siblings in one of their layouts, of any batch, behind a Relu and with what follows them.

    Separate ones read a value each, or the one that all of them read; one layer for all of them
    reads their values joined. The Relu before them is the layer before them: separate ones find in
    the processor's cache what was computed just now, and one layer for all of them finds less of it
    there. What joins and parts values is not in it, see `seam`.

    Args:
        siblings: Layers of a graph that stays as it is; the sizes of what they read are known.
        layout: One of their layouts.
    """
    members = siblings.members
    model, tape = _empty(), ir.tape.Tape()
    stacked = Layout.STACKED in siblings.layouts
    own = members[:1] if stacked else members
    ends, behind = [], followers(siblings)
    if layout is not Layout.SEPARATE:
        value = _before(tape, model, own)
        ends.append(_followed(tape, behind, layer(tape, model, siblings, layout, value)))
    else:
        shared = _before(tape, model, own) if stacked else None
        # Branch by branch, as a pack runs.
        for node in members:
            value = shared or _before(tape, model, [node])
            # One layer stacked is the layer itself.
            itself = layer(tape, model, Siblings((node,), ()), Layout.STACKED, value)
            ends.append(_followed(tape, behind, itself))
    return _ended(model, tape.nodes, ends)


def seam(values: int) -> ir.Model:
    """Values of any batch and size that are joined and parted again, with a Relu in between.

    It stands for the Concat before a joined layer and the Split behind one; the Relu for the
    reordering of channels that ONNX Runtime does there.

    Args:
        values: How many; each is fed flat, `(batch, size)`.
    """
    model, tape = _empty(), ir.tape.Tape()
    read = [_named(model.graph, (SIZE,)) for _ in range(values)]
    whole = tape.op("Relu", [tape.op("Concat", read, {"axis": 1})])
    equal = {"axis": 1, "num_outputs": values}
    parts = tape.op_multi_out("Split", [whole], equal, num_outputs=values)
    return _ended(model, tape.nodes, parts)


def followers(siblings: Siblings) -> list[ir.Node]:
    """What stands behind the first of siblings, and alike behind all others, up to the next layer.

    Where siblings run as one, so does what follows them.

    Args:
        siblings: Layers of a graph.
    """
    ways = [_way(node) for node in siblings.members]
    told = [[_kind(node) for node in way] for way in ways]
    common = itertools.takewhile(lambda place: len(set(place)) == 1, zip(*told, strict=False))
    return ways[0][: len(list(common))]


def read_by(node: ir.Node) -> Sizes:
    """Sizes of what a layer reads, without the batch; they are known."""
    return _of_sample(node.inputs[0])


def given_by(node: ir.Node) -> Sizes:
    """Sizes of what a node gives, likewise."""
    return _of_sample(node.outputs[0])


def as_file(model: ir.Model) -> bytes:
    """What ONNX Runtime loads; nobody keeps it, so it is neither checked nor are shapes inferred.

    Args:
        model: What `alone` or `seam` returned.
    """
    proto = ir.serde.serialize_model(model)
    proto.ir_version = LOWEST_IR_VERSION
    proto.opset_import[0].version = lowest_opset(model)
    return bytes(proto.SerializeToString())


def _way(node: ir.Node) -> list[ir.Node]:
    """Nodes that each read nothing but the one before, from the first behind a layer on."""
    found: list[ir.Node] = []
    while True:
        value = node.outputs[0]
        uses = value.uses()
        if len(uses) != 1 or value.is_graph_output():
            return found
        ((node, _),) = uses
        if len(node.inputs) != 1 or node.op_type not in FOLLOWING or not _is_sized(node):
            return found
        found.append(node)


def _is_sized(node: ir.Node) -> bool:
    shape = node.outputs[0].shape
    return shape is not None and all(isinstance(size, int) for size in list(shape)[1:])


def _kind(node: ir.Node) -> tuple[object, ...]:
    attributes = sorted((name, str(one.value)) for name, one in node.attributes.items())
    return node.op_type, tuple(attributes)


def _of_sample(value: ir.Value | None) -> Sizes:
    sizes = list(value.shape or ()) if value is not None else []
    return tuple(int(str(size)) for size in sizes[1:])


def _empty() -> ir.Model:
    graph = ir.Graph([], [], nodes=[], opset_imports={"": WORKING_OPSET}, name="graph")
    return ir.Model(graph, ir_version=WORKING_IR_VERSION)


def _ended(model: ir.Model, nodes: Sequence[ir.Node], ends: Sequence[ir.Value]) -> ir.Model:
    """Puts nodes into a graph of their own, and tells what it answers."""
    model.graph.extend(list(nodes))
    for number, node in enumerate(model.graph):
        node.name = f"node{number}"
        for place, value in enumerate(node.outputs):
            value.name = f"value{number}.{place}"
    for value in ends:
        value.type = ir.TensorType(ir.DataType.FLOAT)
        model.graph.outputs.append(value)
    return model


def _before(tape: ir.tape.Tape, model: ir.Model, members: Sequence[ir.Node]) -> ir.Value:
    """What members read, computed just now."""
    return tape.op("Relu", [_input(model.graph, members)])


def _input(graph: ir.Graph, members: Sequence[ir.Node]) -> ir.Value:
    """An input of the size of what members read, joined."""
    shapes = [read_by(node) for node in members]
    sizes = list(shapes[0])
    axis = axis_of(members[0])
    place = axis - 1 if axis > 0 else axis
    sizes[place] = sum(shape[place] for shape in shapes)
    return _named(graph, tuple(sizes))


def _named(graph: ir.Graph, sizes: Sequence[int | str]) -> ir.Value:
    value = ir.Value(
        name=f"input{len(graph.inputs)}",
        shape=ir.Shape([BATCH, *sizes]),
        type=ir.TensorType(ir.DataType.FLOAT),
    )
    graph.inputs.append(value)
    return value


def _followed(tape: ir.tape.Tape, nodes: Sequence[ir.Node], value: ir.Value) -> ir.Value:
    for node in nodes:
        attributes = {name: one.value for name, one in node.attributes.items()}
        value = tape.op(node.op_type, [value], attributes)
    return value
