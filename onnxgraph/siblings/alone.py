"""Siblings without the graph around them: what there is to time."""

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from onnxgraph.parameters import add_initializer
from onnxgraph.passes.raise_opset import WORKING_IR_VERSION, WORKING_OPSET
from onnxgraph.serialise import LOWEST_IR_VERSION, lowest_opset
from onnxgraph.siblings.find import Layout, Siblings, reader_of, width_of
from onnxgraph.siblings.joined import axis_of, layer


def alone(siblings: Siblings, layout: Layout, batch: int) -> ir.Model:
    """Siblings in one of their layouts, and the Relu that reads them.

    Separate ones read an input each, or the one that all of them read. One layer for all of them
    reads their values joined; a Split stands behind it only where they are stacked, for between two
    layers that run as one there is none.

    Args:
        siblings: Layers of a graph that stays as it is; the sizes of what they read are known.
        layout: One of their layouts.
        batch: Samples of a run.
    """
    members = siblings.members
    graph = ir.Graph([], [], nodes=[], opset_imports={"": WORKING_OPSET}, name="graph")
    model = ir.Model(graph, ir_version=WORKING_IR_VERSION)
    tape = ir.tape.Tape()
    stacked = Layout.STACKED in siblings.layouts
    if layout is Layout.SEPARATE:
        own = [_input(graph, [node], batch) for node in (members[:1] if stacked else members)]
        read = own * len(members) if stacked else own
        ends = [
            # One layer stacked is the layer itself.
            _rectified(tape, node, layer(tape, model, Siblings((node,), ()), Layout.STACKED, value))
            for node, value in zip(members, read, strict=True)
        ]
    else:
        value = _input(graph, members[:1] if stacked else members, batch)
        ends = [_rectified(tape, members[0], layer(tape, model, siblings, layout, value))]
    if layout is Layout.STACKED:
        sizes = np.array([width_of(node) for node in members], dtype=np.int64)
        ends = list(
            tape.op_multi_out(
                "Split",
                [ends[0], add_initializer(model, "sizes", sizes)],
                {"axis": axis_of(members[0])},
                num_outputs=len(members),
            )
        )
    graph.extend(list(tape.nodes))
    for number, node in enumerate(graph):
        node.name = f"node{number}"
        for place, value in enumerate(node.outputs):
            value.name = f"value{number}.{place}"
    for value in ends:
        value.type = ir.TensorType(ir.DataType.FLOAT)
        graph.outputs.append(value)
    return model


def as_file(model: ir.Model) -> bytes:
    """What ONNX Runtime loads; nobody keeps it, so it is neither checked nor are shapes inferred.

    Args:
        model: What `alone` returned.
    """
    proto = ir.serde.serialize_model(model)
    proto.ir_version = LOWEST_IR_VERSION
    proto.opset_import[0].version = lowest_opset(model)
    return bytes(proto.SerializeToString())


def _input(graph: ir.Graph, members: Sequence[ir.Node], batch: int) -> ir.Value:
    """An input of the size of what members read, joined."""
    shapes = [list(node.inputs[0].shape or ()) for node in members if node.inputs[0] is not None]
    sizes = [batch, *shapes[0][1:]]
    sizes[axis_of(members[0])] = sum(int(str(shape[axis_of(members[0])])) for shape in shapes)
    value = ir.Value(
        name=f"input{len(graph.inputs)}",
        shape=ir.Shape(sizes),
        type=ir.TensorType(ir.DataType.FLOAT),
    )
    graph.inputs.append(value)
    return value


def _rectified(tape: ir.tape.Tape, node: ir.Node, value: ir.Value) -> ir.Value:
    return tape.op("Relu", [value]) if reader_of(node) == "Relu" else value
