"""Checks of single tensors: type, declared size against caps and data, finite values."""

import math
from collections.abc import Collection, Mapping

import numpy as np
from onnx import TensorProto

from onnxgraph.errors import GraphError, GraphReason
from onnxgraph.limits import Limits
from onnxgraph.wire import too_large

_TENSOR_BYTES: Mapping[int, int] = {
    TensorProto.FLOAT: 4,
    TensorProto.INT32: 4,
    TensorProto.INT64: 8,
    TensorProto.BOOL: 1,
    TensorProto.UINT8: 1,
    TensorProto.FLOAT16: 2,
    TensorProto.BFLOAT16: 2,
    TensorProto.DOUBLE: 8,
}
_INTERFACE_TYPES = frozenset(
    {
        TensorProto.FLOAT,
        TensorProto.INT32,
        TensorProto.INT64,
        TensorProto.BOOL,
        TensorProto.UINT8,
    }
)
_TYPED_FIELD: Mapping[int, str] = {
    TensorProto.FLOAT: "float_data",
    TensorProto.INT32: "int32_data",
    TensorProto.INT64: "int64_data",
    TensorProto.BOOL: "int32_data",
    TensorProto.UINT8: "int32_data",
    TensorProto.FLOAT16: "int32_data",
    TensorProto.BFLOAT16: "int32_data",
    TensorProto.DOUBLE: "double_data",
}
_FINITE_CHUNK = 2**24
_TO_FLOAT = "Convert the model to float32 (model.float()) before exporting it."
_VALID = "Check the file with onnx.checker.check_model and export it again."


def check_tensor(tensor: TensorProto, name: str, limits: Limits) -> int:
    """Checks what a tensor declares against the limits and against the data that it brings.

    Args:
        tensor: The tensor; nothing is allocated for it.
        name: What to call it in an error.
        limits: Caps on rank, elements and bytes.

    Returns:
        The declared size in bytes.

    Raises:
        GraphError: `GRAPH_EXTERNAL_DATA`, `GRAPH_TYPE_UNSUPPORTED`, `GRAPH_TOO_LARGE` or
            `GRAPH_INVALID`.
    """
    if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
        raise GraphError(
            GraphReason.GRAPH_EXTERNAL_DATA,
            f"Tensor {name!r} keeps its data in another file.",
            advice="Export with external_data=False, so that one file holds all weights.",
            node=name,
            metadata={"tensor": name},
        )
    check_type(tensor.data_type, f"Tensor {name!r}", name)
    if len(tensor.dims) > limits.tensor_rank:
        raise too_large(f"Rank of tensor {name!r}", len(tensor.dims), limits.tensor_rank, name)
    if tensor.HasField("segment") or any(size < 0 for size in tensor.dims):
        raise invalid(f"Tensor {name!r} has a negative dimension or is stored in parts.", name)
    elements = math.prod(tensor.dims)
    if elements > limits.tensor_elements:
        raise too_large(f"Elements of tensor {name!r}", elements, limits.tensor_elements, name)
    item = _TENSOR_BYTES[tensor.data_type]
    size = elements * item
    if size > limits.tensor_bytes:
        raise too_large(f"Bytes of tensor {name!r}", size, limits.tensor_bytes, name)
    typed = len(getattr(tensor, _TYPED_FIELD[tensor.data_type]))
    held = len(tensor.raw_data) if tensor.HasField("raw_data") else typed * item
    if held != size or (tensor.HasField("raw_data") and typed):
        raise invalid(f"Tensor {name!r} declares {size:,} bytes and holds {held:,}.", name)
    return size


def check_interface_type(data_type: int, what: str, name: str) -> None:
    """Refuses inputs and outputs of other types than float32, int32, int64, bool and uint8."""
    _check_among(_INTERFACE_TYPES, data_type, what, name)


def check_type(data_type: int, what: str, name: str) -> None:
    """Refuses what is neither of an interface's type nor of half or double precision."""
    _check_among(_TENSOR_BYTES.keys(), data_type, what, name)


def _check_among(types: Collection[int], data_type: int, what: str, name: str) -> None:
    if data_type not in types:
        known = data_type in TensorProto.DataType.values()
        kind = TensorProto.DataType.Name(data_type) if known else str(data_type)
        raise unsupported(f"{what} has the type {kind}.", name, _TO_FLOAT, kind)


def check_finite(tensor: TensorProto, name: str) -> None:
    """Refuses a float32 tensor with NaN or infinity in it.

    A single number may be infinite: a bound, or what a pool's padding is filled with.
    """
    if tensor.data_type != TensorProto.FLOAT:
        return
    values = np.frombuffer(tensor.raw_data, "<f4")
    if not tensor.HasField("raw_data"):
        values = np.asarray(tensor.float_data, np.float32)
    if values.size == 1 and np.isinf(values).all():
        return
    for start in range(0, values.size, _FINITE_CHUNK):
        if not np.isfinite(values[start : start + _FINITE_CHUNK]).all():
            raise not_finite("Initializer", name)


def invalid(message: str, node: str | None) -> GraphError:
    """The error for a graph that breaks the ONNX specification."""
    return GraphError(GraphReason.GRAPH_INVALID, message, advice=_VALID, node=node)


def unsupported(message: str, name: str, advice: str, kind: str) -> GraphError:
    """The error for a kind of tensor that is not supported."""
    return GraphError(
        GraphReason.GRAPH_TYPE_UNSUPPORTED,
        message,
        advice=advice,
        node=name,
        metadata={"tensor": name, "type": kind},
    )


def not_finite(what: str, name: str) -> GraphError:
    """The error for NaN or infinity in a weight or attribute."""
    return GraphError(
        GraphReason.GRAPH_NOT_FINITE,
        f"{what} {name!r} holds NaN or infinity.",
        advice="Retrain or repair the model so that every weight is finite.",
        node=name,
        metadata={"tensor": name},
    )
