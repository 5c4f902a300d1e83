"""Make the first axis of every input and output symbolic."""

import onnx_ir as ir

from onnxgraph.errors import GraphError, GraphReason

BATCH = "batch"
"""The name of the symbolic first axis of every input and output."""


class FreeBatch(ir.passes.InPlacePass):
    """Names the first axis of every input and output `batch` and forgets what was inferred.

    Whether the graph then computes the right thing at every batch size is for `FoldShapes` and
    the comparison at the end of `normalise` to tell.

    Requires: no initializer among the inputs; every input has a first axis (`load_model`).
    Ensures: inputs of shape `(batch, ...)` with integers after the first axis.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Renames the axes in place.

        Raises:
            GraphError: `GRAPH_SHAPE_DYNAMIC` for an input with another symbolic axis.
        """
        modified = False
        for value in model.graph.inputs:
            shape = _freed(value)
            modified |= shape != value.shape
            value.shape = shape
        for value in model.graph.outputs:
            if not value.is_graph_input():
                value.shape = None
        return ir.passes.PassResult(model, modified=modified)


def _freed(value: ir.Value) -> ir.Shape:
    assert value.shape is not None
    for axis, size in enumerate(value.shape[1:], start=1):
        if not isinstance(size, int):
            raise GraphError(
                GraphReason.GRAPH_SHAPE_DYNAMIC,
                f"Axis {axis} of input {value.name!r} has no fixed size.",
                advice="Export the model with fixed sizes on all axes but the first.",
                node=value.name,
            )
    return ir.Shape([BATCH, *value.shape[1:]])


def fixed_batch(model: ir.Model) -> int | None:
    """The batch size that a model's inputs declare, or None if it is symbolic.

    Args:
        model: A model before `FreeBatch`.

    Raises:
        GraphError: `GRAPH_BATCH_FIXED` if inputs declare different batch sizes.
    """
    sizes = {value.shape[0] for value in model.graph.inputs if value.shape}
    fixed = sorted(size for size in sizes if isinstance(size, int))
    if len(fixed) > 1:
        raise GraphError(
            GraphReason.GRAPH_BATCH_FIXED,
            f"The inputs declare different batch sizes: {fixed}.",
            advice="Export the model with samples along the first axis of every input.",
        )
    return fixed[0] if fixed else None
