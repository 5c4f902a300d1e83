"""Give every Expand a constant target that leaves the batch to its data."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import onnx_ir as ir

from onnxgraph.passes.broadcasting import Meetings, values_of_data
from onnxgraph.passes.names import fresh_name
from onnxgraph.passes.observation import BATCHES, Observer

_Shapes = Sequence[tuple[int, ...]]


class FoldExpands(ir.passes.InPlacePass):
    """Writes 1 into the target of an Expand wherever its data has the size already.

    Exporters compute the batch of a target at run time; broadcasting takes it from the data. (The
    keys and values of grouped-query attention are repeated in this way, Ainslie et al. 2023.) A
    constant that is repeated for each sample stays a single one where all that it meets has the
    batch (the mask of an encoder, its segments).

    Requires: a graph that runs at any batch size.
    Ensures: no Expand with a computed target, except of data without the batch (a class token).
    `FoldConstants` afterwards drops the chains.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Folds in place."""
        nodes = [node for node in model.graph if node.op_type == "Expand" and _computed(node)]
        if not nodes:
            return ir.passes.PassResult(model, modified=False)
        names = [(str(_data(node).name), str(node.outputs[0].name)) for node in nodes]
        data_values = values_of_data(model.graph)
        repeated = [
            v for v in (node.outputs[0] for node in nodes) if str(v.name) not in data_values
        ]
        meetings = Meetings(repeated, data_values)
        wanted = dict.fromkeys([*(name for pair in names for name in pair), *meetings.names])
        observer = Observer(model, list(wanted), [])
        seen = [observer.observe(batch)[0] for batch in BATCHES]
        shapes = {name: [found[name] for found in seen] for name in seen[0]}
        taken: set[str | None] = set(ir.convenience.create_value_mapping(model.graph))
        modified = False
        for node, (data, output) in zip(nodes, names, strict=True):
            ranks = range(-len(shapes[output][0]), 0) if node.outputs[0] in repeated else ()
            free = [x for x in ranks if meetings.have_the_size(node.outputs[0], x, shapes)]
            target = _target(shapes[data], shapes[output], free)
            if target is not None:
                _set_target(model.graph, node, fresh_name(f"{node.name}_target", taken), target)
                modified = True
        return ir.passes.PassResult(model, modified=modified)


def _computed(node: ir.Node) -> bool:
    target = node.inputs[1]
    return target is not None and target.const_value is None


def _data(node: ir.Node) -> ir.Value:
    data = node.inputs[0]
    assert data is not None
    return data


def _target(before: _Shapes, after: _Shapes, free: Collection[int]) -> list[int] | None:
    """A target that gives all the observed shapes but for the sizes of `free` axes, or None."""
    if len({len(shape) for shape in before}) > 1 or len({len(shape) for shape in after}) > 1:
        return None
    target = []
    shift = len(after[0]) - len(before[0])
    pairs = list(zip(before, after, strict=True))
    for axis in range(len(after[0])):
        sizes = {shape[axis] for shape in after}
        if axis >= shift and all(data[axis - shift] == out[axis] for data, out in pairs):
            target.append(1)
        elif len(sizes) == 1:
            target.append(sizes.pop())
        elif axis - len(after[0]) in free:
            target.append(1)
        else:
            return None
    return target


def _set_target(graph: ir.Graph, node: ir.Node, name: str, target: list[int]) -> None:
    tensor = ir.tensor(np.array(target, np.int64), name=name)
    value = ir.Value(
        name=name,
        shape=ir.Shape([len(target)]),
        type=ir.TensorType(ir.DataType.INT64),
        const_value=tensor,
    )
    graph.register_initializer(value)
    node.replace_input_with(1, value)
