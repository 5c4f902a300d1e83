"""Reading a graph that computes in half or double precision inside as one of single precision."""

import numpy as np
from onnx import AttributeProto, ModelProto, TensorProto, numpy_helper

from onnxgraph.tensors import not_finite

OTHER_PRECISIONS = frozenset({TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE})
"""Floating types that only the inside of a graph may have."""


def in_single_precision(model: ModelProto) -> None:
    """Turns every tensor and every Cast of another precision to float32, in place.

    Exporters of half precision keep the inputs and outputs in float32 and put a Cast behind or in
    front of them: in float32 the graph computes the same with less rounding, and fragments are
    fitted to that. Its recorded inner types no longer hold and go.

    Args:
        model: A screened model whose inputs and outputs are of no other precision.

    Raises:
        GraphError: `GRAPH_NOT_FINITE` for a double that float32 cannot hold.
    """
    changed = False
    for tensor in model.graph.initializer:
        changed |= _widen(tensor, tensor.name)
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.type == AttributeProto.TENSOR:
                changed |= _widen(attribute.t, node.name or next(iter(node.output), ""))
            elif node.op_type == "Cast" and attribute.name == "to":
                changed |= attribute.i in OTHER_PRECISIONS
                attribute.i = TensorProto.FLOAT if attribute.i in OTHER_PRECISIONS else attribute.i
    if changed:
        del model.graph.value_info[:]


def _widen(tensor: TensorProto, name: str) -> bool:
    if tensor.data_type not in OTHER_PRECISIONS:
        return False
    with np.errstate(over="ignore"):
        array = numpy_helper.to_array(tensor).astype(np.float32)
    if not np.isfinite(array).all():
        raise not_finite("Initializer", name)
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    return True
