"""Bring a model to the working opset, upwards."""

import onnx
import onnx_ir as ir
from onnx.version_converter import convert_version

from onnxgraph.errors import GraphError, GraphReason

WORKING_OPSET = 23
"""The opset that everything between load and serialise works at."""
WORKING_IR_VERSION = 11
_LARGE = 4096


class RaiseOpset(ir.passes.InPlacePass):
    """Converts the graph to `WORKING_OPSET` with onnx's converter.

    Of the two converters, onnxscript's knows no opset below 18 and leaves such graphs invalid
    without an error. Large weights stay outside of the conversion: they are not copied.

    Requires: the default domain only; no initializer among the inputs.
    Ensures: opset `WORKING_OPSET`, IR version `WORKING_IR_VERSION`, the same inputs and outputs.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Converts in place.

        Raises:
            GraphError: `GRAPH_OPSET_UNSUPPORTED` if the converter has no way upwards.
        """
        graph = model.graph
        before = graph.opset_imports.get("", graph.opset_imports.get("ai.onnx"))
        model.ir_version = WORKING_IR_VERSION
        if before == WORKING_OPSET:
            return ir.passes.PassResult(model, modified=False)
        inputs = [value.name for value in graph.inputs]
        weights = _detach_weights(graph)
        try:
            converted = convert_version(ir.serde.serialize_model(model), WORKING_OPSET)
        except (RuntimeError, ValueError, onnx.checker.ValidationError) as error:
            raise GraphError(
                GraphReason.GRAPH_OPSET_UNSUPPORTED,
                f"The graph cannot be brought from opset {before} to {WORKING_OPSET}: "
                f"{str(error).splitlines()[0][:200]}",
                advice="Export again with torch.onnx.export(..., opset_version=20).",
                metadata={"opset": str(before)},
            ) from error
        model.graph = ir.serde.deserialize_graph(converted.graph)
        model.graph.opset_imports[""] = WORKING_OPSET
        _attach_weights(model.graph, weights, inputs)
        return ir.passes.PassResult(model, modified=True)


def _detach_weights(graph: ir.Graph) -> dict[str, ir.TensorProtocol]:
    """Turns large initializers into inputs; returns their tensors by name."""
    weights: dict[str, ir.TensorProtocol] = {}
    for name, value in list(graph.initializers.items()):
        tensor = value.const_value
        if tensor is not None and tensor.size > _LARGE and not value.is_graph_output():
            weights[name] = tensor
            value.shape = ir.Shape(tensor.shape)
            value.type = ir.TensorType(tensor.dtype)
            value.const_value = None
            del graph.initializers[name]
            graph.inputs.append(value)
    return weights


def _attach_weights(
    graph: ir.Graph, weights: dict[str, ir.TensorProtocol], inputs: list[str | None]
) -> None:
    """Turns the inputs that stand for weights into initializers again."""
    found = {value.name: value for value in graph.inputs}
    graph.inputs.clear()
    graph.inputs.extend(found[name] for name in inputs)
    for name, tensor in weights.items():
        value = found[name]
        value.const_value = tensor
        graph.register_initializer(value)
