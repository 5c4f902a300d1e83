"""Graphs as text, for tests that need one exact shape of graph."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import onnx
from onnx import ModelProto, numpy_helper

DENSE = """
dense (float[batch, 4] x) => (float[batch, 3] scores)
  <float[4, 6] w0, float[6] b0, float[3, 6] w1, float[3] b1>
{
  product = MatMul (x, w0)
  hidden = Add (product, b0)
  active = Relu (hidden)
  scores = Gemm <transB = 1> (active, w1, b1)
}
"""

CONVOLUTION = """
convolution (float[batch, 2, 6, 6] x) => (float[batch, 3] scores)
  <float[4, 2, 3, 3] w0, float[4] b0, float[3, 4] w1, float[3] b1>
{
  maps = Conv <pads = [1, 1, 1, 1]> (x, w0, b0)
  active = Relu (maps)
  pooled = GlobalAveragePool (active)
  flat = Flatten (pooled)
  scores = Gemm <transB = 1> (flat, w1, b1)
}
"""


def parse(text: str, *, opset: int = 20, ir_version: int = 8, seed: int = 0) -> ModelProto:
    """A model from the textual form of its graph, each weight drawn from a normal distribution.

    Weights are declared in the graph's header without values; integers must have values.
    """
    head = f'<ir_version: {ir_version}, opset_import: ["" : {opset}]>'
    model = onnx.parser.parse_model(head + text)
    generator = np.random.default_rng(seed)
    for value in list(model.graph.value_info):
        tensor = value.type.tensor_type
        shape = tuple(dim.dim_value for dim in tensor.shape.dim)
        given = {initializer.name for initializer in model.graph.initializer}
        if tensor.elem_type == onnx.TensorProto.FLOAT and value.name not in given:
            array = generator.standard_normal(shape).astype(np.float32)
            model.graph.initializer.append(numpy_helper.from_array(array, value.name))
    del model.graph.value_info[:]
    return model


def with_arrays(model: ModelProto, arrays: Mapping[str, npt.NDArray[np.generic]]) -> ModelProto:
    """A copy of a model with some initializers replaced or added."""
    copy = ModelProto()
    copy.CopyFrom(model)
    kept = [tensor for tensor in copy.graph.initializer if tensor.name not in arrays]
    del copy.graph.initializer[:]
    copy.graph.initializer.extend(kept)
    copy.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()
    )
    return copy
