"""Conv, Gemm and MatMul as matrices."""

from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
import torch

from onnxgraph.groups import Consumer, find_group
from onnxgraph.linear import (
    consumer_metric,
    patches,
    unit_rows,
    weight_matrix,
    with_weight_matrix,
)
from onnxgraph.parity import run_onnx
from onnxgraph.view import TorchView
from tests.helpers.text_graphs import text_graph

_IMAGE = "float[N, 3, 7, 6] x => float[N, 4, P, Q] y"
_VECTOR = "float[N, 5] x => float[N, 4] y"

_NODES: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    "a strided, dilated, unevenly padded conv": (
        _IMAGE,
        "y = Conv <pads = [1, 0, 2, 1], strides = [2, 1], dilations = [1, 2]> (x, w, b)",
        "y",
        {"w": (4, 3, 3, 2), "b": (4,)},
    ),
    "a conv with SAME padding and no bias": (
        _IMAGE,
        'y = Conv <auto_pad = "SAME_LOWER", strides = [2, 2]> (x, w)',
        "y",
        {"w": (4, 3, 2, 3)},
    ),
    "a conv over one axis": (
        "float[N, 2, 9] x => float[N, 4, P] y",
        "y = Conv <pads = [1, 1]> (x, w, b)",
        "y",
        {"w": (4, 2, 3), "b": (4,)},
    ),
    "a gemm with factors": (
        _VECTOR,
        "y = Gemm <transB = 1, alpha = 0.5, beta = 3.0> (x, w, b)",
        "y",
        {"w": (4, 5), "b": (1, 4)},
    ),
    "a gemm with one bias for all": (_VECTOR, "y = Gemm (x, w, b)", "y", {"w": (5, 4), "b": ()}),
    "a gemm without a bias": (_VECTOR, "y = Gemm <beta = 2.0> (x, w)", "y", {"w": (5, 4)}),
    "a matmul with its bias first": (
        _VECTOR,
        "m = MatMul (x, w)\ny = Add (b, m)",
        "m",
        {"w": (5, 4), "b": (4,)},
    ),
    "a matmul over positions": (
        "float[N, 3, 5] x => float[N, 3, 4] y",
        "y = MatMul (x, w)",
        "y",
        {"w": (5, 4)},
    ),
}


def _model(name: str) -> tuple[ir.Model, str, torch.Tensor]:
    signature, body, node, constants = _NODES[name]
    model = text_graph(signature, body, **constants)
    shape = model.graph.inputs[0].shape
    assert shape is not None
    sizes = [size if isinstance(size, int) else 2 for size in shape]
    return model, node, torch.randn(*sizes, generator=torch.Generator().manual_seed(1))


def _rows(output: torch.Tensor, node: str, model: ir.Model) -> torch.Tensor:
    """The output with its units last, one row per sample and position."""
    is_conv = any(n.op_type == "Conv" for n in model.graph)
    output = output.movedim(1, -1) if is_conv else output
    return output.reshape(-1, output.shape[-1])


@pytest.mark.parametrize("name", _NODES)
def test_patches_times_matrix_plus_bias_is(name: str) -> None:
    model, node, x = _model(name)
    with torch.no_grad():
        expected = _rows(TorchView(model)(x)[0], node, model)
    matrix, bias = weight_matrix(model, node)
    found = patches(model, node, x) @ torch.from_numpy(np.asarray(matrix))
    if bias is not None:
        found = found + torch.from_numpy(np.asarray(bias))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("name", _NODES)
def test_a_matrix_is_put_back_into(name: str, with_bias: bool) -> None:
    model, node, x = _model(name)
    matrix, old_bias = weight_matrix(model, node)
    random = np.random.default_rng(3)
    new = random.normal(size=matrix.shape)
    bias = np.asarray(random.normal(size=matrix.shape[1])) if with_bias else None
    with_weight_matrix(model, node, new, bias)
    expected = patches(model, node, x).numpy() @ new
    kept = bias if bias is not None else old_bias
    if kept is not None:
        expected = expected + kept
    (output,) = run_onnx(ir.to_proto(model).SerializeToString(), {"x": x.numpy()}).values()
    found = _rows(torch.from_numpy(np.asarray(output)), node, model).numpy()
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


def test_a_matrix_of_another_shape_is_refused() -> None:
    model, node, _ = _model("a gemm with factors")
    with pytest.raises(ValueError, match="does not fit"):
        with_weight_matrix(model, node, np.zeros((4, 5)), None)


def _flattened() -> tuple[ir.Model, Consumer]:
    model = text_graph(
        "float[N, 3, 3, 3] x => float[N, 2] y",
        """
        c = Conv (x, w)
        t = Transpose <perm = [0, 2, 3, 1]> (c)
        f = Flatten (t)
        y = Gemm (f, v)
        """,
        w=(5, 3, 2, 2),
        v=(20, 2),
    )
    return model, find_group(model, "c").consumers[0]


def test_rows_of_units_hold_each_position_once() -> None:
    model, consumer = _flattened()
    x = torch.randn(2, 3, 3, 3)
    values = TorchView(model).run({"x": x}, fetch=["c", "f"])
    rows = unit_rows(consumer, values["f"])
    expected = values["c"].movedim(1, -1).reshape(-1, 5)
    torch.testing.assert_close(rows, expected)


def test_the_metric_of_a_consumer_weighs_errors_of_units_as_its_output_does() -> None:
    model, consumer = _flattened()
    metric = consumer_metric(model, consumer)
    assert metric.shape == (5, 5)
    weight = np.asarray(weight_matrix(model, "y")[0], np.float64).reshape(4, 5, 2)
    expected = sum(position @ position.T for position in weight)
    np.testing.assert_allclose(metric, expected, rtol=1e-10)


def test_the_metric_of_a_convolution_sums_over_its_kernel() -> None:
    model = text_graph(
        "float[N, 3, 7, 7] x => float[N, 2, 5, 5] y",
        "c = Conv (x, w)\ny = Conv <pads = [0, 0, 0, 0]> (c, v)",
        w=(4, 3, 1, 1),
        v=(2, 4, 3, 3),
    )
    metric = consumer_metric(model, find_group(model, "c").consumers[0])
    kernel = TorchView(model).tensor("v").detach().numpy().astype(np.float64)
    expected = np.einsum("ojpq,okpq->jk", kernel, kernel)
    np.testing.assert_allclose(metric, expected, rtol=1e-6)
