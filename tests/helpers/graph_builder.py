"""Writing small float64 graphs node by node."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 17


@dataclass(frozen=True)
class DrawnGraph:
    """A graph in float64 and the shape of one sample of its input `x`."""

    proto: onnx.ModelProto
    sample: tuple[int, ...]

    def model(self, dtype: type[np.floating] = np.float64) -> ir.Model:
        """The graph with all floating types as `dtype`."""
        return ir.serde.deserialize_model(in_dtype(self.proto, dtype))

    def inputs(self, batch: int, dtype: type[np.floating], seed: int = 0) -> dict[str, Any]:
        """Normal random inputs."""
        data = np.random.default_rng(seed).normal(size=(batch, *self.sample))
        return {"x": data.astype(dtype)}


def in_dtype(proto: onnx.ModelProto, dtype: type[np.floating]) -> onnx.ModelProto:
    """A copy of a graph whose double tensors and values have another floating type."""
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    result = onnx.ModelProto()
    result.CopyFrom(proto)
    for tensor in result.graph.initializer:
        if tensor.data_type == TensorProto.DOUBLE:
            array = numpy_helper.to_array(tensor).astype(dtype)
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    for value in [*result.graph.input, *result.graph.output, *result.graph.value_info]:
        if value.type.tensor_type.elem_type == TensorProto.DOUBLE:
            value.type.tensor_type.elem_type = kind
    return result


class GraphBuilder:
    """Writes a graph node by node and knows the shape of each value, the batch left out.

    With `share`, parameters of one shape are one initializer, as exporters do with equal ones.
    """

    def __init__(self, sample: Sequence[int], seed: int, *, share: bool = False) -> None:
        self.sample = tuple(sample)
        self.shapes: dict[str, tuple[int, ...]] = {"x": self.sample}
        self._random = np.random.default_rng(seed)
        self._share = share
        self._nodes: list[onnx.NodeProto] = []
        self._tensors: list[onnx.TensorProto] = []

    def weight(self, *shape: int) -> str:
        """A random double initializer, scaled by its fan-in."""
        if self._share:
            for tensor in self._tensors:
                if tensor.data_type == TensorProto.DOUBLE and tuple(tensor.dims) == shape:
                    return tensor.name
        fan_in = max(1, int(np.prod(shape[1:])))
        return self.constant(self._random.normal(size=shape) * np.sqrt(2.0 / fan_in))

    def matrix(self, inputs: int, outputs: int) -> NDArray[np.float64]:
        """A random matrix, scaled by its fan-in."""
        return np.asarray(self._random.normal(size=(inputs, outputs)) * np.sqrt(2.0 / inputs))

    def positive(self, *shape: int) -> str:
        """A random double initializer between 0.5 and 1.5."""
        return self.constant(self._random.uniform(0.5, 1.5, size=shape))

    def constant(self, array: NDArray[Any] | Sequence[int]) -> str:
        """An initializer."""
        name = f"t{len(self._tensors)}"
        self._tensors.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def node(
        self, op_type: str, inputs: Sequence[str], shape: Sequence[int], **attributes: Any
    ) -> str:
        """A node with one output of the given `shape` (without the batch)."""
        name = f"{op_type.lower()}_{len(self._nodes)}"
        output = f"{name}_out"
        self._nodes.append(helper.make_node(op_type, list(inputs), [output], name, **attributes))
        self.shapes[output] = tuple(shape)
        return output

    def finish(self, outputs: Sequence[str]) -> DrawnGraph:
        """The graph, checked."""
        graph = helper.make_graph(
            self._nodes,
            "drawn",
            [helper.make_tensor_value_info("x", TensorProto.DOUBLE, ["batch", *self.sample])],
            [
                helper.make_tensor_value_info(n, TensorProto.DOUBLE, ["batch", *self.shapes[n]])
                for n in outputs
            ],
            self._tensors,
        )
        proto = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8
        )
        onnx.checker.check_model(proto, full_check=True)
        return DrawnGraph(proto, self.sample)
