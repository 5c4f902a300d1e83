"""Kernels that a training-mode BatchNormalization standardises, as torch exports them."""

import numpy as np
import pytest
from numpy.typing import NDArray

from onnxgraph.errors import GraphError, GraphReason
from onnxgraph.groups import unit_groups
from onnxgraph.load import load_model
from onnxgraph.normalise import normalise
from onnxgraph.parity import compare, run_onnx
from onnxgraph.serialise import to_bytes
from tests.helpers.graph_texts import parse

_OUTPUTS = {
    9: "k, m, v, saved_m, saved_v = BatchNormalization <epsilon = 0.001, momentum = 1.0>",
    17: "k, m, v = BatchNormalization <epsilon = 0.001, momentum = 1.0, training_mode = 1>",
}


def _standardised(opset: int, rows: str) -> bytes:
    text = f"""
        g (float[batch, 3, 6, 6] x) => (float[batch, 4] scores)
          <float[5, 3, 3, 3] w, int64[3] flat = {{{rows}}}, int64[4] kernel = {{5, 3, 3, 3}},
           float[5] scale, float[5] shift, float[5, 4] v0, float[4] b>
        {{
          r = Reshape (w, flat)
          mean = ReduceMean <axes = [0, 2], keepdims = 0> (r)
          {_OUTPUTS[opset]} (r, scale, shift, mean, mean)
          s = Reshape (k, kernel)
          c = Conv (x, s)
          a = Relu (c)
          p = GlobalAveragePool (a)
          f = Flatten (p)
          scores = Gemm (f, v0, b)
        }}
    """
    return parse(text, opset=opset, ir_version=4 if opset < 11 else 8).SerializeToString()


def _kernel(data: bytes) -> NDArray[np.float64]:
    """The standardised kernel by its definition (Qiao et al. 2019), scaled and shifted."""
    graph = load_model(data).graph
    arrays = {
        name: v.const_value.numpy() for name, v in graph.initializers.items() if v.const_value
    }
    w = arrays["w"].reshape(5, -1).astype(np.float64)
    normal = (w - w.mean(1, keepdims=True)) / np.sqrt(w.var(1, keepdims=True) + 0.001)
    kernel = normal * arrays["scale"][:, None] + arrays["shift"][:, None]
    return np.asarray(kernel.reshape(5, 3, 3, 3))


@pytest.mark.parametrize("opset", _OUTPUTS)
def test_a_standardised_kernel_is_folded_and_its_units_are_cut(opset: int) -> None:
    data = _standardised(opset, "1, 5, 27")
    model = normalise(load_model(data))
    assert next(node.op_type for node in model.graph) == "Conv"
    weight = model.graph.node(0).inputs[1]
    assert weight is not None
    assert weight.const_value is not None
    np.testing.assert_allclose(weight.const_value.numpy(), _kernel(data), rtol=1e-5, atol=1e-5)
    groups, _ = unit_groups(model)
    assert [group.units for group in groups] == [5]


def test_a_normaliser_of_weights_over_more_than_one_row_is_refused_by_name() -> None:
    with pytest.raises(GraphError) as caught:
        load_model(_standardised(17, "3, 5, 9"))
    assert caught.value.reason == GraphReason.GRAPH_TRAINING_MODE
    assert caught.value.node == "k"


def test_a_pad_of_opset_9_may_be_filled_with_infinity() -> None:
    text = """
        g (float[batch, 3, 6, 6] x) => (float[batch, 4] scores)
          <float[5, 3, 3, 3] w, float[45, 4] v0, float[4] b>
        {
          c = Conv (x, w)
          p = Pad <pads = [0, 0, 1, 1, 0, 0, 1, 1], value = -7.0> (c)
          m = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (p)
          f = Flatten (m)
          scores = Gemm (f, v0, b)
        }
    """
    proto = parse(text, opset=9, ir_version=4)
    fill = next(a for node in proto.graph.node for a in node.attribute if a.name == "value")
    fill.f = float("-inf")
    data = proto.SerializeToString()
    model = normalise(load_model(data))
    x = np.random.default_rng(0).normal(size=(2, 3, 6, 6)).astype(np.float32)
    wanted = run_onnx(data, {"x": x})["scores"]
    assert compare(run_onnx(to_bytes(model), {"x": x})["scores"], wanted, atol=0, rtol=1e-5).passed
    assert [group.units for group in unit_groups(model)[0]] == [5]
