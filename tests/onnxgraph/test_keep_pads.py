"""Zeros that are padded in front of a MaxPool, which ONNX Runtime takes for its −∞."""

import numpy as np
import pytest
import torch
from onnxruntime import InferenceSession

from onnxgraph.load import load_model
from onnxgraph.normalise import normalise
from onnxgraph.serialise import to_bytes
from onnxgraph.view import TorchView
from tests.helpers.graph_texts import parse

_POOLED = """
    g (float[batch, 2, 6, 6] x) => (float[batch, 3] scores)
      <float[4, 2, 3, 3] w, float[3, 4] v, int64[8] pads = {0, 0, 1, 1, 0, 0, 1, 1},
       int64[4] sides = {1, 1, 1, 1}, int64[2] places = {2, 3}, float zero = {0}>
    {
      maps = Conv (x, w)
      PADDED
      pooled = MaxPool <kernel_shape = [3, 3], strides = [2, 2]> (padded)
      mean = GlobalAveragePool (pooled)
      flat = Flatten (mean)
      scores = Gemm <transB = 1> (flat, v)
    }
"""


@pytest.mark.parametrize(
    ("padded", "opset"),
    [
        ("padded = Pad (maps, pads)", 13),
        ("padded = Pad (maps, pads, zero)", 17),
        ("padded = Pad (maps, sides, zero, places)", 23),
        ("wide = Pad (maps, pads, zero) padded = Identity (wide)", 20),
    ],
)
def test_what_runs_where_pads_are_fused_is_what_the_graph_says(padded: str, opset: int) -> None:
    model = load_model(parse(_POOLED.replace("PADDED", padded), opset=opset).SerializeToString())
    normal = normalise(model)
    # Maps of some filters are negative everywhere, so that the zeros around them win.
    weight = normal.graph.initializers["w"].const_value
    assert weight is not None
    x = -np.sign(weight.numpy().sum()) * np.ones((2, 2, 6, 6), np.float32)
    session = InferenceSession(to_bytes(normal), providers=["CPUExecutionProvider"])
    with torch.no_grad():
        (wanted,) = TorchView(model)(torch.from_numpy(x))
    assert np.allclose(session.run(None, {"x": x})[0], wanted.numpy(), rtol=1e-4, atol=1e-6)
