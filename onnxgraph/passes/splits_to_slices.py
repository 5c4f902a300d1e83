"""Write a Split as one Slice for each part."""

import numpy as np
import onnx_ir as ir

from onnxgraph.passes.names import fresh_name


class SplitsToSlices(ir.passes.InPlacePass):
    """Turns every Split of a known axis into Slices, so that no node of data has two outputs.

    Exporters write one and the same `chunk` as Split or as Slices; runtimes read both as copies of
    a range. A Slice follows units by itself, whatever becomes of the other parts.

    Requires: inferred shapes; sizes folded.
    Ensures: no Split along an axis whose parts have known sizes.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Replaces the nodes in place."""
        taken: set[str | None] = set(ir.convenience.create_value_mapping(model.graph))
        taken |= {node.name for node in model.graph}
        modified = False
        for node in list(model.graph):
            sizes = _sizes(node) if node.op_type == "Split" else None
            if sizes is not None:
                _replace(model.graph, node, sizes, taken)
                modified = True
        return ir.passes.PassResult(model, modified=modified)


def _axis(node: ir.Node) -> int:
    return node.attributes.get_int("axis", 0)


def _sizes(node: ir.Node) -> list[int] | None:
    """The size of each part, or None if one is open."""
    sizes = [None if output.shape is None else output.shape[_axis(node)] for output in node.outputs]
    known = [size for size in sizes if isinstance(size, int)]
    return known if len(known) == len(sizes) else None


def _replace(graph: ir.Graph, node: ir.Node, sizes: list[int], taken: set[str | None]) -> None:
    ends = np.cumsum(sizes)
    for place, (output, end, size) in enumerate(zip(node.outputs, ends, sizes, strict=True)):
        if not output.uses() and not output.is_graph_output():
            continue
        name = fresh_name(f"{node.name}_{place}", taken)
        bounds = [
            _integer(graph, fresh_name(f"{name}_{part}", taken), number)
            for part, number in (("start", end - size), ("end", end), ("axis", _axis(node)))
        ]
        part = ir.Value(name=output.name, shape=output.shape, type=output.type)
        new = ir.Node("", "Slice", [node.inputs[0], *bounds], name=name, outputs=[part])
        graph.insert_before(node, new)
        ir.convenience.replace_all_uses_with(output, part, replace_graph_outputs=True)
    graph.remove(node, safe=True)


def _integer(graph: ir.Graph, name: str, number: int) -> ir.Value:
    tensor = ir.tensor(np.array([number], np.int64), name=name)
    value = ir.Value(
        name=name,
        shape=ir.Shape([1]),
        type=ir.TensorType(ir.DataType.INT64),
        const_value=tensor,
    )
    graph.register_initializer(value)
    return value
