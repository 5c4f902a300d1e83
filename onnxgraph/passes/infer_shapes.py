"""Infer the shape and type of every value, with a symbolic batch."""

import math

import onnx_ir as ir
from onnx.shape_inference import InferenceError, infer_shapes

from onnxgraph.errors import GraphError, GraphReason
from onnxgraph.limits import Limits
from onnxgraph.passes.weights_aside import structure
from onnxgraph.wire import too_large


class InferShapes(ir.passes.InPlacePass):
    """Records the shapes that onnx infers and holds them against the cap on elements.

    A few bytes can declare an activation of terabytes: the check comes before anything runs.

    Args:
        limits: The cap on elements of one value, per sample.

    Requires: inputs with a symbolic first axis.
    Ensures: the shape and type that onnx infers on every computed value.
    """

    def __init__(self, limits: Limits) -> None:
        super().__init__()
        self._limits = limits

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Infers in place.

        Raises:
            GraphError: `GRAPH_TOO_LARGE` names the value over the cap, `GRAPH_INVALID` one whose
                inferred shape is negative, or a node whose inputs do not fit its operator.
        """
        modified = self._infer(model)
        while _carried_over(model):
            self._infer(model)
            modified = True
        return ir.passes.PassResult(model, modified=modified)

    def _infer(self, model: ir.Model) -> bool:
        inferred = _inferred(model)
        modified = False
        for value in (v for node in model.graph for v in node.outputs):
            found = inferred.get(value.name)
            if found is None:
                continue
            modified |= (found.shape, found.type) != (value.shape, value.type)
            value.shape, value.type = found.shape, found.type
            if value.shape is not None:
                self._check(value, [d for d in value.shape if isinstance(d, int)])
        return modified

    def _check(self, value: ir.Value, sizes: list[int]) -> None:
        if any(size < 0 for size in sizes):
            raise GraphError(
                GraphReason.GRAPH_INVALID,
                f"Value {value.name!r} would have the shape {value.shape}.",
                advice="Check the file with onnx.checker.check_model and export it again.",
                node=value.name,
            )
        elements = math.prod(sizes)
        if elements > self._limits.value_elements:
            what = f"Elements of value {value.name!r} per sample"
            raise too_large(what, elements, self._limits.value_elements, value.name)


def _carried_over(model: ir.Model) -> bool:
    """Gives the output of a GroupNormalization its input's shape: onnx has no rule for it."""
    found = False
    for node in model.graph:
        data, output = node.inputs[0] if node.inputs else None, next(iter(node.outputs), None)
        if node.op_type != "GroupNormalization" or data is None or output is None:
            continue
        if output.shape is None and data.shape is not None:
            output.shape, output.type, found = data.shape, data.type, True
    return found


def _inferred(model: ir.Model) -> dict[str | None, ir.Value]:
    """The values of the graph by name with the shapes and types that onnx infers."""
    try:
        # Not data_prop: it builds the values of shapes, of which a model can declare gigabytes.
        proto = infer_shapes(structure(model), check_type=True, strict_mode=True)
    except InferenceError as error:
        raise shapes_invalid(error) from error
    # Read from the list of shapes: the graph itself costs three times as much to take apart again.
    found = (*proto.graph.value_info, *proto.graph.output)
    return {info.name: ir.serde.deserialize_value_info_proto(info, None) for info in found}


def shapes_invalid(error: InferenceError) -> GraphError:
    """The error for shapes that do not fit, by onnx's own account."""
    return GraphError(
        GraphReason.GRAPH_INVALID,
        f"Shapes do not fit: {str(error).strip().splitlines()[0][:300]}",
        advice="Check the file with onnx.checker.check_model(full_check=True).",
    )


def forget_shapes(model: ir.Model) -> None:
    """Drops the shapes of all values that nodes compute: they held at one batch size only."""
    for node in model.graph:
        for value in node.outputs:
            value.shape = None
