"""Graphs of a single node, for tests of the operator table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from onnx import TensorProto, helper, numpy_helper


@dataclass(frozen=True)
class NodeCase:
    """What a single-node graph is made of.

    Attributes:
        op_type: The operator.
        sample: The shape of one sample of the data input `x`.
        constants: The other inputs in order, None where one is absent; float64 is the graph's type.
        attributes: The node's attributes.
        opset: The version of the operator set.
        data_first: Whether `x` is the first input, or else the last.
        reference: Whether the ONNX reference can run it: not LRN, crops or a padded 1-d MaxPool;
            its erf is of single precision, its norm of order 1 takes no absolute values, its Resize
            errs at small scales.
        runtime: Whether ONNX Runtime can run it.
        positive: Whether `x` holds positive numbers only.
    """

    op_type: str
    sample: Sequence[int] = (3, 7, 6)
    constants: Sequence[Any] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)
    opset: int = 17
    data_first: bool = True
    reference: bool = True
    runtime: bool = True
    positive: bool = False

    def __str__(self) -> str:
        shown = "-".join(f"{name}={value}" for name, value in self.attributes.items())
        return f"{self.op_type}-{self.opset}-{shown}".replace(" ", "")


def one_node_model(case: NodeCase, dtype: type[np.floating]) -> ir.Model:
    """A graph `x` → node → `y`, floating constants in `dtype`, the batch open."""
    node, tensors = _node(case, dtype)
    return _model(case, [node], tensors, dtype)


def node_between_layers(case: NodeCase) -> ir.Model | None:
    """A float64 graph `x` → layer of units → node → Flatten → dense `y`, named by operator.

    The units stand on axis 1 of an image or on the only axis of a vector. None if the node's output
    cannot be flattened into floating features of a sample.
    """
    alone = one_node_model(case, np.float64).graph.outputs[0]
    sizes = list(alone.shape or ())[1:]
    floating = alone.dtype is ir.DataType.DOUBLE
    fixed = alone.shape is not None and all(isinstance(size, int) for size in sizes)
    if case.op_type == "Constant" or not floating or not fixed:
        return None
    random = np.random.default_rng(0)
    channels, *rest = case.sample
    wide = len(case.sample) > 1
    layer = random.normal(size=(channels, channels, *[1] * len(rest)))
    layer = np.abs(layer) if case.positive else layer
    dense = random.normal(size=(int(np.prod([int(str(s)) for s in sizes])), 2))
    node, tensors = _node(case, np.float64)
    for place, name in enumerate(node.input):
        node.input[place] = "units" if name == "x" else name
    nodes = [
        helper.make_node("Conv" if wide else "MatMul", ["x", "layer"], ["units"], "layer"),
        node,
        helper.make_node("Flatten", ["y"], ["flat"], "flat"),
        helper.make_node("MatMul", ["flat", "dense"], ["scores"], "dense"),
    ]
    tensors += [numpy_helper.from_array(layer, "layer"), numpy_helper.from_array(dense, "dense")]
    return _model(case, nodes, tensors, np.float64)


def _node(
    case: NodeCase, dtype: type[np.floating]
) -> tuple[onnx.NodeProto, list[onnx.TensorProto]]:
    tensors, names = [], []
    for place, constant in enumerate(case.constants):
        names.append("" if constant is None else f"c{place}")
        if constant is not None:
            array = np.asarray(constant)
            array = array.astype(dtype) if array.dtype == np.float64 else array
            tensors.append(numpy_helper.from_array(array, f"c{place}"))
    data = [] if case.op_type == "Constant" else ["x"]
    inputs = [*data, *names] if case.data_first else [*names, *data]
    return helper.make_node(case.op_type, inputs, ["y"], "node", **case.attributes), tensors


def _model(
    case: NodeCase,
    nodes: list[onnx.NodeProto],
    tensors: list[onnx.TensorProto],
    dtype: type[np.floating],
) -> ir.Model:
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    value = helper.make_tensor_value_info("x", kind, ["batch", *case.sample])
    output = onnx.ValueInfoProto(name=nodes[-1].output[0])
    graph = helper.make_graph(nodes, "one", [value], [output], tensors)
    proto = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", case.opset)], ir_version=8
    )
    inferred = onnx.shape_inference.infer_shapes(proto, data_prop=True)
    assert inferred.graph.output[0].type.tensor_type.elem_type != TensorProto.UNDEFINED
    return ir.serde.deserialize_model(inferred)
