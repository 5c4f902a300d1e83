"""From a graph to bytes that many runtimes accept, and back."""

import onnx
import onnx_ir as ir
from onnx.defs import OpSchema, SchemaError, get_schema

from onnxgraph.errors import GraphError, GraphReason
from onnxgraph.limits import DEFAULT_LIMITS
from onnxgraph.passes.infer_shapes import InferShapes
from onnxgraph.passes.raise_opset import WORKING_IR_VERSION, WORKING_OPSET

LOWEST_OPSET = 17
LOWEST_IR_VERSION = 8
_PRODUCER = "slice-and-pack"
_TYPE_NAMES = {
    ir.DataType.FLOAT: "tensor(float)",
    ir.DataType.BFLOAT16: "tensor(bfloat16)",
    ir.DataType.INT64: "tensor(int64)",
    ir.DataType.INT32: "tensor(int32)",
    ir.DataType.BOOL: "tensor(bool)",
    ir.DataType.UINT8: "tensor(uint8)",
}


def to_bytes(model: ir.Model) -> bytes:
    """Serializes a graph at the lowest opset from 17 on that means the same by every node.

    No node is rewritten: an opset is low enough where each operator's older schema has the
    attributes, inputs, types and defaults that the node relies on. The same graph gives the same
    bytes.

    Args:
        model: A graph of the default domain, left as it is.

    Returns:
        The serialized `ModelProto`, IR version 8 unless its opset needs a later one.

    Raises:
        GraphError: `GRAPH_INVALID` if `onnx.checker` (full check) refuses the result,
            `GRAPH_TOO_LARGE` if it exceeds protobuf's two gigabytes.
    """
    proto = ir.serde.serialize_model(model)
    opset = onnx.helper.make_opsetid("", lowest_opset(model))
    # Inferred shapes are no part of a graph, and their symbols are numbered arbitrarily.
    del proto.graph.value_info[:]
    del proto.opset_import[:]
    proto.opset_import.append(opset)
    proto.ir_version = max(LOWEST_IR_VERSION, onnx.helper.find_min_ir_version_for([opset]))
    proto.producer_name = _PRODUCER
    try:
        data = bytes(proto.SerializeToString(deterministic=True))
        onnx.checker.check_model(data, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise GraphError(
            GraphReason.GRAPH_INVALID,
            f"onnx.checker refuses the graph: {str(error).strip().splitlines()[0][:300]}",
            advice="Report this with the submitted model: a graph of our own must be valid.",
        ) from error
    except ValueError as error:
        raise GraphError(
            GraphReason.GRAPH_TOO_LARGE,
            "The graph exceeds protobuf's limit of 2 GiB.",
            advice="Pack fewer or smaller classes.",
        ) from error
    return data


def from_trusted_bytes(data: bytes, *, shapes: bool = True) -> ir.Model:
    """Parses a graph of our own making (a fragment, a pack) and infers its shapes, unchecked.

    Args:
        data: Bytes that `to_bytes` wrote.
        shapes: Whether shapes are inferred.

    Returns:
        The graph at the working opset, which it had before `to_bytes` relabelled it.
    """
    model = ir.serde.deserialize_model(onnx.ModelProto.FromString(data))
    model.graph.opset_imports[""] = WORKING_OPSET
    model.ir_version = WORKING_IR_VERSION
    if shapes:
        InferShapes(DEFAULT_LIMITS)(model)
    return model


def lowest_opset(model: ir.Model) -> int:
    """The lowest opset from 17 on at which the graph means what it means at its own.

    Args:
        model: A graph of the default domain.
    """
    own = model.graph.opset_imports[""]
    for opset in range(LOWEST_OPSET, own):
        if all(_agrees(node, opset, own) for node in model.graph):
            return opset
    return own


def _agrees(node: ir.Node, low: int, high: int) -> bool:
    """Whether a node means the same at two opsets, judged by the operator's schemas."""
    new = get_schema(node.op_type, high, "")
    try:
        old = get_schema(node.op_type, low, "")
    except SchemaError:
        return False
    if old.since_version == new.since_version:
        return True
    if node.op_type == "AveragePool" and node.attributes.get_int("ceil_mode", 0) != 0:
        # Opset 19 changed which elements count where the last window hangs over the edge.
        return False
    return _attributes_agree(node, old, new) and _inputs_agree(node, old)


def _attributes_agree(node: ir.Node, old: OpSchema, new: OpSchema) -> bool:
    if any(name not in old.attributes for name in node.attributes):
        return False
    unset = [attribute for name, attribute in old.attributes.items() if name not in node.attributes]
    return all(
        attribute.default_value == new.attributes[attribute.name].default_value
        if attribute.name in new.attributes
        # It became an input, which this node leaves out just the same (`_inputs_agree`).
        else not attribute.required
        for attribute in unset
    )


def _inputs_agree(node: ir.Node, old: OpSchema) -> bool:
    if not old.min_input <= len(node.inputs) <= old.max_input:
        return False
    if len(node.outputs) > old.max_output:
        return False
    for position, value in enumerate(node.inputs):
        if value is None or value.dtype is None:
            continue
        # The last parameter of a variadic operator stands for all further inputs.
        parameter = old.inputs[min(position, len(old.inputs) - 1)]
        if _TYPE_NAMES.get(value.dtype) not in parameter.types:
            return False
    return True
