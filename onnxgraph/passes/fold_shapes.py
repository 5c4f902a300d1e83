"""Fold computed shapes by observing them at several batch sizes."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from onnxgraph.errors import GraphError, GraphReason
from onnxgraph.passes.infer_shapes import forget_shapes
from onnxgraph.passes.names import fresh_name
from onnxgraph.passes.observation import BATCHES, Arrays, Observer
from onnxgraph.passes.shape_values import check_independent_of_data, frontier, shape_values

_Shapes = Sequence[tuple[int, ...]]


class FoldShapes(ir.passes.InPlacePass):
    """Writes constants where a graph computes shapes.

    Rules over shape arithmetic leave many chains unfolded; running the graph at batches 2, 3 and 5
    leaves none: every Reshape gets its observed shape as target, with −1 at the axis that varies,
    every Resize the observed sizes of the axes that it changes, and every other computed size that
    did not vary becomes a constant.

    Requires: a graph that runs at any batch size; `FoldConstants` before.
    Ensures: no Reshape with a computed target, no Resize with the size of its batch.
    `FoldConstants` afterwards drops the chains.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Folds in place.

        Raises:
            GraphError: `GRAPH_SHAPE_DYNAMIC` if a size depends on data or more than one axis
                varies, `GRAPH_NOT_EXECUTABLE` if the graph does not run at some batch size.
        """
        computed = shape_values(model)
        check_independent_of_data(model, computed)
        reshapes = [node for node in model.graph if _on_data(node, computed)]
        resizes = [node for node in model.graph if _sized(node)]
        values = frontier(computed)
        if not reshapes and not resizes and not values:
            return ir.passes.PassResult(model, modified=False)
        read = [node.inputs[0] for node in resizes]
        names = [str(v.name) for v in (*(n.outputs[0] for n in (*reshapes, *resizes)), *read) if v]
        observer = Observer(model, names, [str(value.name) for value in values])
        seen = [observer.observe(batch) for batch in BATCHES]
        taken: set[str | None] = set(ir.convenience.create_value_mapping(model.graph))
        modified = False
        for node in reshapes:
            name = str(node.outputs[0].name)
            modified |= _fix_target(node, [shapes[name] for shapes, _ in seen], taken)
        for node in resizes:
            modified |= _fix_sizes(node, seen[0][0], taken)
        for value in values:
            modified |= _fix_value(value, [found for _, found in seen], taken)
        forget_shapes(model)
        return ir.passes.PassResult(model, modified=modified)


def _on_data(node: ir.Node, computed: frozenset[ir.Value]) -> bool:
    return node.op_type == "Reshape" and node.outputs[0] not in computed


def _sized(node: ir.Node) -> bool:
    """Whether a Resize is told the size of every axis, the batch among them."""
    sizes = node.inputs[3] if node.op_type == "Resize" and len(node.inputs) > 3 else None
    return sizes is not None and "axes" not in node.attributes


def _fix_sizes(
    node: ir.Node, shapes: Mapping[str, tuple[int, ...]], taken: set[str | None]
) -> bool:
    """Tells a Resize the observed sizes of those axes alone that it changes."""
    data = node.inputs[0]
    assert data is not None
    before, after = shapes[str(data.name)], shapes[str(node.outputs[0].name)]
    axes = [axis for axis, size in enumerate(after) if before[axis] != size] or [len(after) - 1]
    sizes = np.array([after[axis] for axis in axes], np.int64)
    node.replace_input_with(3, _constant(node, fresh_name(f"{node.name}_sizes", taken), sizes))
    node.attributes["axes"] = ir.AttrInt64s("axes", axes)
    return True


def _fix_target(node: ir.Node, shapes: _Shapes, taken: set[str | None]) -> bool:
    """Gives a Reshape its observed shape, with −1 at the axis that varies with the batch."""
    varying = [axis for axis, sizes in enumerate(zip(*shapes, strict=True)) if len(set(sizes)) > 1]
    if len({len(shape) for shape in shapes}) > 1 or len(varying) > 1:
        raise GraphError(
            GraphReason.GRAPH_SHAPE_DYNAMIC,
            f"Node {node.name!r} (Reshape) has shapes {', '.join(map(str, shapes))} at batches "
            f"{', '.join(map(str, BATCHES))}: more than one axis varies.",
            advice="Keep the batch in one axis of its own throughout the model.",
            node=node.name,
        )
    target = np.array([-1 if axis in varying else n for axis, n in enumerate(shapes[0])], np.int64)
    held = node.inputs[1].const_value if node.inputs[1] is not None else None
    if 0 not in target:
        node.attributes.pop("allowzero", None)
    if held is not None and np.array_equal(held.numpy(), target):
        return False
    node.replace_input_with(1, _constant(node, fresh_name(f"{node.name}_target", taken), target))
    return True


def _fix_value(value: ir.Value, found: Sequence[Arrays], taken: set[str | None]) -> bool:
    """Makes a computed size constant if it is the same at every batch size."""
    arrays = [observation[str(value.name)] for observation in found]
    if not all(np.array_equal(array, arrays[0]) for array in arrays):
        return False
    node = value.producer()
    assert node is not None
    constant = _constant(node, fresh_name(f"{value.name}_observed", taken), arrays[0])
    ir.convenience.replace_all_uses_with(value, constant)
    return True


def _constant(node: ir.Node, name: str, array: npt.NDArray[np.generic]) -> ir.Value:
    tensor = ir.tensor(array, name=name)
    value = ir.Value(
        name=name,
        shape=ir.Shape(array.shape),
        type=ir.TensorType(tensor.dtype),
        const_value=tensor,
    )
    graph = node.graph
    assert isinstance(graph, ir.Graph)
    graph.register_initializer(value)
    return value
