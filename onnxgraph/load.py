"""Safe load: from a stranger's bytes to an `ir.Model`, or a `GraphError`.

Cheap checks come first: the encoding, then the parsed protobuf, and only then native code
(`onnx.checker`), which can crash or swell on hostile input. Call this in a limited worker process
all the same.
"""

import onnx
import onnx_ir as ir
from google.protobuf.message import DecodeError
from onnx import ModelProto

from onnxgraph.limits import DEFAULT_LIMITS, Limits
from onnxgraph.operators import supported_operators
from onnxgraph.screen import screen
from onnxgraph.single_precision import in_single_precision
from onnxgraph.tensors import invalid
from onnxgraph.topology import check_topology
from onnxgraph.weight_standardisation import standardise_weights
from onnxgraph.wire import check_encoding, not_onnx

SHAPE_OPERATORS = frozenset(
    {
        *("Shape", "Size", "Gather", "Slice", "Split", "Concat", "Squeeze", "Unsqueeze", "Reshape"),
        *("Cast", "ConstantOfShape", "Expand", "Identity", "Transpose", "Where"),
        *("Add", "Sub", "Mul", "Div", "Mod", "Neg", "Abs", "Floor", "Ceil", "Min", "Max"),
        *("Equal", "Less", "Greater", "Not", "And", "Or", "ReduceProd", "ScatterND"),
    }
)
"""Operators that exporters use to compute shapes and masks; `normalise` folds them or refuses."""

LEGACY_OPERATORS = frozenset({"Upsample"})
"""Operators that `normalise` replaces when it raises the opset (Upsample by Resize at 10)."""


def load_model(data: bytes, *, limits: Limits = DEFAULT_LIMITS) -> ir.Model:
    """Parses a submitted model and refuses whatever is not a plain, closed, finite graph.

    Args:
        data: The serialized ONNX model.
        limits: Caps, all checked before anything is allocated for what the model declares.

    Returns:
        The model: the default domain only, no functions, subgraphs, external data or sparse
        tensors; floating values in single precision; every weight finite; acyclic; at least one
        input and one output.

    Raises:
        GraphError: With the reason, the node or tensor, and advice.
    """
    check_encoding(data, limits)
    try:
        proto = onnx.ModelProto.FromString(data)
    except DecodeError as error:
        raise not_onnx("The bytes are no ONNX model, or a truncated or damaged one.") from error
    screen(proto, limits, supported_operators() | SHAPE_OPERATORS | LEGACY_OPERATORS)
    check_topology(proto.graph)
    _check_specification(data)
    standardise_weights(proto)
    in_single_precision(proto)
    return _to_ir(proto)


def _check_specification(data: bytes) -> None:
    try:
        onnx.checker.check_model(data)
    except (onnx.checker.ValidationError, ValueError, RuntimeError) as error:
        raise invalid(f"onnx.checker refuses the model: {_first_line(error)}", None) from error


def _to_ir(proto: ModelProto) -> ir.Model:
    try:
        return ir.serde.deserialize_model(proto)
    except (ir.serde.SerdeError, ValueError, TypeError) as error:
        raise invalid(f"The graph cannot be read: {_first_line(error)}", None) from error


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:300]
