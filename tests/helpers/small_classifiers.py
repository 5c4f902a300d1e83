"""Small normalised classifiers, and samples for them."""

from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from onnxgraph.normalise import normalise
from slicer_svc.slicing.samples import Samples
from tests.helpers.graph_texts import parse, with_arrays

CHAIN = """
chain (float[batch, 1, 8, 8] x) => (float[batch, 3] scores)
  <float[6, 1, 3, 3] w0, float[6] b0, float[8, 6, 3, 3] w1, float[8] b1,
   float[10, 128] w2, float[10] b2, float[3, 10] w3, float[3] b3>
{
  maps0 = Conv <pads = [1, 1, 1, 1]> (x, w0, b0)
  active0 = Relu (maps0)
  half = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (active0)
  maps1 = Conv <pads = [1, 1, 1, 1]> (half, w1, b1)
  active1 = Relu (maps1)
  flat = Flatten (active1)
  hidden = Gemm <transB = 1> (flat, w2, b2)
  active2 = Relu (hidden)
  scores = Gemm <transB = 1> (active2, w3, b3)
}
"""
"""Convolutions, a Flatten and a hidden dense layer: groups of 6, 8 and 10 units."""

RESIDUAL = """
residual (float[batch, 1, 8, 8] x) => (float[batch, 3] scores)
  <float[6, 1, 3, 3] w0, float[6] b0, float[8, 6, 3, 3] w1, float[8] b1,
   float[6, 8, 3, 3] w2, float[6] b2, float[3, 6] w3, float[3] b3>
{
  stem = Conv <pads = [1, 1, 1, 1]> (x, w0, b0)
  active0 = Relu (stem)
  inner = Conv <pads = [1, 1, 1, 1]> (active0, w1, b1)
  active1 = Relu (inner)
  branch = Conv <pads = [1, 1, 1, 1]> (active1, w2, b2)
  sum = Add (active0, branch)
  active2 = Relu (sum)
  pooled = GlobalAveragePool (active2)
  flat = Flatten (pooled)
  scores = Gemm <transB = 1> (flat, w3, b3)
}
"""
"""One residual block: its width (6 units, coupled) and its inner units (8)."""


def model_of(text: str, seed: int = 0, **arrays: NDArray[Any]) -> ir.Model:
    """The normalised model of a graph text; weights are scaled by their fan-in unless given."""
    proto = parse(text, seed=seed)
    random = np.random.default_rng(seed)
    scaled = {}
    for tensor in proto.graph.initializer:
        fan_in = int(np.prod(tensor.dims[1:])) if len(tensor.dims) > 1 else 16
        values = random.normal(size=tuple(tensor.dims)) * np.sqrt(2.0 / fan_in)
        scaled[tensor.name] = values.astype(np.float32)
    return normalise(ir.serde.deserialize_model(with_arrays(proto, {**scaled, **arrays})))


def rescaled(model: ir.Model, **factors: float) -> ir.Model:
    """A copy of a model whose initializers are multiplied by the given numbers."""
    copy = model.clone()
    for name, factor in factors.items():
        tensor = copy.graph.initializers[name].const_value
        assert tensor is not None
        values = tensor.numpy() * np.float32(factor)
        copy.graph.initializers[name].const_value = ir.tensor(values, name=name)
    return copy


def images(per_class: int, seed: int = 0, classes: int = 3) -> Samples:
    """Smooth noisy 8 x 8 pictures, a blob at another place for every class."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:8, 0:8]
    labels = np.tile(np.arange(classes, dtype=np.int64), per_class)
    places = np.stack([1.5 + 2.0 * labels, 6.0 - 2.0 * labels], axis=1)
    places = places + random.normal(size=places.shape) * 0.4
    distance = (rows - places[:, :1, None]) ** 2 + (columns - places[:, 1:, None]) ** 2
    pixels = np.exp(-distance / 3.0) + 0.1 * random.normal(size=distance.shape)
    return Samples({"x": pixels[:, None].astype(np.float32)}, labels)
