"""Bring a model to the working opset, upwards."""

import onnx
import onnx_ir as ir
from onnx.shape_inference import InferenceError
from onnx.version_converter import convert_version

from onnxgraph.errors import GraphError, GraphReason
from onnxgraph.passes.infer_shapes import shapes_invalid
from onnxgraph.passes.weights_aside import adopt_weights, structure

WORKING_OPSET = 23
"""The opset that everything between load and serialise works at."""
WORKING_IR_VERSION = 11
_COORDINATES_SINCE = 11
_OLD_COORDINATES = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}


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
            GraphError: `GRAPH_OPSET_UNSUPPORTED` if the converter has no way upwards,
                `GRAPH_INVALID` if shapes do not fit.
        """
        graph = model.graph
        before = graph.opset_imports.get("", graph.opset_imports.get("ai.onnx"))
        model.ir_version = WORKING_IR_VERSION
        if before == WORKING_OPSET:
            return ir.passes.PassResult(model, modified=False)
        try:
            converted = convert_version(structure(model), WORKING_OPSET)
        except InferenceError as error:
            raise shapes_invalid(error) from error
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
        adopt_weights(model.graph, graph)
        if before is not None and before < _COORDINATES_SINCE:
            _state_coordinates(model.graph)
        return ir.passes.PassResult(model, modified=True)


def _state_coordinates(graph: ir.Graph) -> None:
    """Gives Resize the coordinates that it had before opset 11, which the converter leaves out."""
    for node in graph:
        if node.op_type == "Resize":
            for name, value in _OLD_COORDINATES.items():
                node.attributes[name] = ir.AttrString(name, value)
