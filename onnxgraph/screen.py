"""Checks of a parsed model in pure protobuf, before native code sees it."""

import math
from collections.abc import Iterator

import onnx
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto

from onnxgraph.errors import GraphError, GraphReason
from onnxgraph.limits import Limits
from onnxgraph.tensors import (
    check_finite,
    check_interface_type,
    check_tensor,
    check_type,
    invalid,
    not_finite,
    unsupported,
)
from onnxgraph.wire import not_onnx, too_large

OLDEST_OPSET = 9
NEWEST_OPSET = 23
DEFAULT_DOMAINS = frozenset({"", "ai.onnx"})

_DENSE = "Export the model with dense tensors as inputs, outputs and weights."
_EXPORT_OPSET = "Export again with torch.onnx.export(..., opset_version=20)."

_ATTRIBUTES = frozenset(
    {
        AttributeProto.FLOAT,
        AttributeProto.INT,
        AttributeProto.STRING,
        AttributeProto.TENSOR,
        AttributeProto.FLOATS,
        AttributeProto.INTS,
        AttributeProto.STRINGS,
    }
)

_BOUNDS = frozenset({("Pad", "value"), ("Clip", "min"), ("Clip", "max")})


def screen(model: ModelProto, limits: Limits, operators: frozenset[str]) -> None:
    """Checks everything about a model that protobuf alone can tell.

    Args:
        model: The parsed model.
        limits: Caps on nodes, initializers, dimensions and declared bytes.
        operators: The allowed operators of the default domain.

    Raises:
        GraphError: Names the node or tensor at fault.
    """
    _check_header(model)
    graph = model.graph
    if len(graph.node) > limits.nodes:
        raise too_large("Nodes", len(graph.node), limits.nodes)
    if len(graph.initializer) > limits.initializers:
        raise too_large("Initializers", len(graph.initializer), limits.initializers)
    _check_names(graph, limits)
    for node in graph.node:
        _check_operator(node, operators)
    declared = 0
    for name, tensor in _tensors(graph):
        declared += check_tensor(tensor, name, limits)
        if declared > limits.tensor_bytes:
            raise too_large("Declared bytes of all tensors", declared, limits.tensor_bytes, name)
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    if not inputs or not graph.output:
        missing = "outputs" if inputs else "inputs other than weights"
        raise invalid(f"The graph has no {missing}.", None)
    for value in (*inputs, *graph.output):
        _check_interface(value, limits)
    for value in inputs:
        if not value.type.tensor_type.shape.dim:
            raise invalid(f"Input {value.name!r} has no batch axis.", value.name)
    for name, tensor in _tensors(graph):
        check_finite(tensor, name)


def _check_header(model: ModelProto) -> None:
    if not model.HasField("graph") or not model.graph.node:
        raise not_onnx("The file holds no graph.")
    if not 3 <= model.ir_version <= onnx.IR_VERSION:
        raise GraphError(
            GraphReason.GRAPH_OPSET_UNSUPPORTED,
            f"IR version {model.ir_version} is outside 3 to {onnx.IR_VERSION}.",
            advice=_EXPORT_OPSET,
        )
    opsets = [o.version for o in model.opset_import if o.domain in DEFAULT_DOMAINS]
    if len(opsets) != 1:
        raise GraphError(
            GraphReason.GRAPH_OPSET_UNSUPPORTED,
            f"The model imports the default operator set {len(opsets)} times.",
            advice=_EXPORT_OPSET,
        )
    if not OLDEST_OPSET <= opsets[0] <= NEWEST_OPSET:
        raise GraphError(
            GraphReason.GRAPH_OPSET_UNSUPPORTED,
            f"Opset {opsets[0]} is outside {OLDEST_OPSET} to {NEWEST_OPSET}.",
            advice=_EXPORT_OPSET,
            metadata={"opset": str(opsets[0])},
        )
    if model.functions or model.training_info:
        name = model.functions[0].name if model.functions else "training_info"
        raise GraphError(
            GraphReason.GRAPH_OPERATOR_UNSUPPORTED,
            f"The model defines functions of its own ({name!r}).",
            advice="Inline them with onnx.inliner.inline_local_functions.",
            node=name,
            metadata={"operator": name},
        )


def _check_names(graph: GraphProto, limits: Limits) -> None:
    for node in graph.node:
        for name in (node.name, *node.input, *node.output):
            if len(name) > limits.name_length:
                raise too_large("Characters of a name", len(name), limits.name_length, name[:64])
    for kind, names in (
        ("input", [value.name for value in graph.input]),
        ("output", [value.name for value in graph.output]),
        ("initializer", [tensor.name for tensor in graph.initializer]),
        ("node output", [name for node in graph.node for name in node.output if name]),
    ):
        seen: set[str] = set()
        for name in names:
            if not name:
                raise invalid(f"A graph {kind} has no name.", None)
            if name in seen:
                raise invalid(f"The name {name!r} stands for more than one {kind}.", name)
            seen.add(name)


def _check_operator(node: NodeProto, operators: frozenset[str]) -> None:
    """Checks one node's domain, operator and kinds of attributes."""
    if node.domain not in DEFAULT_DOMAINS or node.op_type not in operators:
        operator = node.op_type if node.domain in DEFAULT_DOMAINS else _qualified(node)
        raise GraphError(
            GraphReason.GRAPH_OPERATOR_UNSUPPORTED,
            f"Node {node_name(node)!r} has the operator {operator}, which is not supported.",
            advice="Rewrite that part of the model with supported operators and export it again.",
            node=node_name(node),
            metadata={"operator": operator},
        )
    seen: set[str] = set()
    for attribute in node.attribute:
        if attribute.type not in _ATTRIBUTES or attribute.ref_attr_name or attribute.name in seen:
            raise GraphError(
                GraphReason.GRAPH_OPERATOR_UNSUPPORTED,
                f"Attribute {attribute.name!r} of node {node_name(node)!r} holds a subgraph, a "
                "reference, or something else that is not supported.",
                advice="Export the model without control flow, functions and sparse tensors.",
                node=node_name(node),
                metadata={"operator": node.op_type},
            )
        seen.add(attribute.name)
        if not _finite(attribute, node.op_type):
            raise not_finite(f"Attribute {attribute.name!r} of node", node_name(node))
        if node.op_type == "Cast" and attribute.name == "to":
            check_type(attribute.i, f"The result of node {node_name(node)!r}", node_name(node))


def _finite(attribute: AttributeProto, operator: str) -> bool:
    """Whether an attribute holds finite numbers; bounds and what a Pad fills in may be infinite."""
    if (operator, attribute.name) in _BOUNDS:
        return not math.isnan(attribute.f)
    return all(map(math.isfinite, (attribute.f, *attribute.floats)))


def _tensors(graph: GraphProto) -> Iterator[tuple[str, TensorProto]]:
    if graph.sparse_initializer:
        name = graph.sparse_initializer[0].values.name
        raise unsupported(f"Initializer {name!r} is sparse.", name, _DENSE, "SPARSE")
    for tensor in graph.initializer:
        yield tensor.name, tensor
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == AttributeProto.TENSOR:
                yield node.output[0] if node.output else node_name(node), attribute.t


def _check_interface(value: ValueInfoProto, limits: Limits) -> None:
    """Checks one input or output of the graph: a tensor of a supported type with a batch axis."""
    if value.type.WhichOneof("value") != "tensor_type":
        kind = (value.type.WhichOneof("value") or "none").removesuffix("_type").upper()
        raise unsupported(f"{value.name!r} is no dense tensor.", value.name, _DENSE, kind)
    tensor = value.type.tensor_type
    check_interface_type(tensor.elem_type, f"{value.name!r}", value.name)
    if len(tensor.shape.dim) > limits.tensor_rank:
        rank = len(tensor.shape.dim)
        raise too_large(f"Rank of {value.name!r}", rank, limits.tensor_rank, value.name)
    sizes = [d.dim_value for d in tensor.shape.dim if d.HasField("dim_value")]
    if any(size < 1 for size in sizes):
        raise invalid(f"{value.name!r} has an axis without elements.", value.name)
    elements = math.prod(sizes)
    if elements > limits.value_elements:
        raise too_large(f"Elements of {value.name!r}", elements, limits.value_elements, value.name)


def node_name(node: NodeProto) -> str:
    """The node's name, or that of its first output, or its operator."""
    return node.name or next(iter(node.output), "") or node.op_type


def _qualified(node: NodeProto) -> str:
    return f"{node.domain}::{node.op_type}"
