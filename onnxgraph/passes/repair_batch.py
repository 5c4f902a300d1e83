"""Free a batch size that an exporter has written into the targets of Reshape."""

import numpy as np
import onnx_ir as ir

from onnxgraph.passes.infer_shapes import forget_shapes
from onnxgraph.passes.names import fresh_name
from onnxgraph.passes.observation import Observer, runs_at

_LARGEST_GUESS = 64


class RepairBatch(ir.passes.InPlacePass):
    """Puts −1 at the batch axis of every constant Reshape target that names the batch size.

    The batch axis is taken to be the first whose observed size the batch size divides; whether that
    is right is decided by the comparison at the end of `normalise`, never assumed.

    Args:
        batch: The batch size that the graph was exported with, at which it runs.

    Requires: `FoldConstants`; a graph that runs at `batch`.
    Ensures: no constant Reshape target whose first multiple of `batch` is written out; no shape
    on computed values.
    """

    def __init__(self, batch: int) -> None:
        super().__init__()
        self._batch = batch

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Repairs in place.

        Raises:
            GraphError: `GRAPH_NOT_EXECUTABLE` if the graph does not run at its own batch size.
        """
        fixed = [node for node in model.graph if node.op_type == "Reshape" and _target(node)]
        if not fixed:
            return ir.passes.PassResult(model, modified=False)
        names = [str(node.outputs[0].name) for node in fixed]
        shapes, _ = Observer(model, names, []).observe(self._batch)
        taken: set[str | None] = set(ir.convenience.create_value_mapping(model.graph))
        modified = False
        for node, name in zip(fixed, names, strict=True):
            modified |= self._repair(node, shapes[name], taken)
        # ONNX Runtime takes recorded shapes at their word.
        forget_shapes(model)
        return ir.passes.PassResult(model, modified=modified)

    def _repair(self, node: ir.Node, shape: tuple[int, ...], taken: set[str | None]) -> bool:
        axis = next((i for i, size in enumerate(shape) if size % self._batch == 0), None)
        held = _target(node)
        if axis is None or held is None or held[axis] <= 0:
            return False
        target = np.array([-1 if i == axis else size for i, size in enumerate(shape)], np.int64)
        name = fresh_name(f"{node.name}_target", taken)
        value = ir.Value(
            name=name,
            shape=ir.Shape(target.shape),
            type=ir.TensorType(ir.DataType.INT64),
            const_value=ir.tensor(target, name=name),
        )
        graph = node.graph
        assert isinstance(graph, ir.Graph)
        graph.register_initializer(value)
        node.replace_input_with(1, value)
        return True


def _target(node: ir.Node) -> list[int] | None:
    """The constant target of a Reshape."""
    value = node.inputs[1]
    if value is None or value.const_value is None:
        return None
    return [int(size) for size in value.const_value.numpy().ravel()]


def guess_batch(model: ir.Model) -> int | None:
    """The batch size that a graph was exported with, where its inputs declare none.

    Args:
        model: A graph that does not run at every batch size.

    Returns:
        The first leading size of a constant Reshape target, or else 1, at which the whole graph
        runs; None if there is none.
    """
    targets = [_target(node) for node in model.graph if node.op_type == "Reshape"]
    sizes = [target[0] for target in targets if target and 0 < target[0] <= _LARGEST_GUESS]
    return next((size for size in dict.fromkeys([*sizes, 1]) if runs_at(model, (size,))), None)
