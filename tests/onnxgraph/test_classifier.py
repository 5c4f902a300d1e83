"""The last linear node of a classifier, and the graph opened there."""

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from onnxgraph.classifier import Classifier, as_fragment, find_classifier
from onnxgraph.errors import GraphError, GraphReason
from onnxgraph.parity import run_onnx
from onnxgraph.serialise import from_trusted_bytes, to_bytes
from tests.helpers.text_graphs import text_graph

_TAILS = {
    "a gemm": ("s = Gemm (h, v)\ny = Identity (s)", "s", "s"),
    "softmax": ("s = Gemm (h, v)\ny = Softmax (s)", "s", "s"),
    "a bias first": ("m = MatMul (h, v)\ns = Add (b, m)\ny = Softmax (s)", "m", "s"),
    "a bias second": ("m = MatMul (h, v)\ns = Add (m, b)\ny = Sigmoid (s)", "m", "s"),
    "no bias": ("y = MatMul (h, v)", "y", "y"),
    "dropout and cast": ("s = Gemm (h, v)\nd = Dropout (s)\ny = Cast <to = 1> (d)", "s", "s"),
}


@pytest.mark.parametrize("tail", _TAILS)
def test_the_classifier_is_found_behind(tail: str) -> None:
    body, node, scores = _TAILS[tail]
    names = {"v": (5, 4), "b": (4,)} if "b" in body else {"v": (5, 4)}
    model = text_graph(
        "float[N, 3] x => float[N, 4] y",
        f"g = MatMul (x, w)\nh = Relu (g)\n{body}",
        w=(3, 5),
        **names,
    )
    assert find_classifier(model) == Classifier(node, "h", scores, 5, 4)


def test_a_fragment_has_features_and_scores_and_nothing_else() -> None:
    model = text_graph(
        "float[N, 3] x => float[N, 4] y, float[N, 5] extra",
        "g = MatMul (x, w)\nh = Relu (g)\ns = Gemm (h, v)\ny = Softmax (s)\nextra = Tanh (g)",
        w=(3, 5),
        v=(5, 4),
    )
    fragment = as_fragment(model, find_classifier(model))
    onnx.checker.check_model(ir.to_proto(fragment), full_check=True)
    assert [node.op_type for node in fragment.graph] == ["MatMul", "Relu", "Gemm"]
    x = np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)
    found = run_onnx(ir.to_proto(fragment).SerializeToString(), {"x": x})
    assert list(found) == ["features", "scores"]
    whole = run_onnx(ir.to_proto(model).SerializeToString(), {"x": x})["y"]
    odds = np.exp(np.asarray(found["scores"], np.float64))
    assert np.allclose(odds / odds.sum(axis=1, keepdims=True), whole, rtol=1e-5)
    assert find_classifier(fragment) == Classifier("s", "features", "scores", 5, 4)


@pytest.mark.parametrize("body", ["s = Gemm (h, v)", "m = MatMul (h, v)\ns = Add (m, b)"])
def test_of_a_fragment_no_inferred_shape_is_needed(body: str) -> None:
    signature = "float[N, 3] x => float[N, 4] s"
    weights = {"w": (3, 5), "v": (5, 4)} | ({"b": (4,)} if "b" in body else {})
    model = text_graph(
        signature, f"g = MatMul (x, w)\nh = Relu (g)\n{body}", **dict[str, Any](weights)
    )
    fragment = as_fragment(model, find_classifier(model))
    bare = from_trusted_bytes(to_bytes(fragment), shapes=False)
    assert all(value.shape is None for value in bare.graph[0].outputs)
    assert find_classifier(bare) == find_classifier(fragment)
    assert all(value.shape is None for value in bare.graph[0].outputs)


def test_a_pointwise_convolution_as_classifier_gives_flat_features_and_scores() -> None:
    model = text_graph(
        "float[N, 3, 4, 4] x => float[N, 4] y",
        "g = GlobalAveragePool (x)\nc = Conv (g, w)\ny = Flatten (c)",
        w=(4, 3, 1, 1),
    )
    classifier = find_classifier(model)
    assert classifier == Classifier("c", "g", "c", 3, 4)
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 4)).astype(np.float32)
    found = run_onnx(ir.to_proto(as_fragment(model, classifier)).SerializeToString(), {"x": x})
    assert [array.shape for array in found.values()] == [(2, 3), (2, 4)]


def test_a_dense_layer_on_the_input_itself_is_a_classifier() -> None:
    model = text_graph("float[N, 3] x => float[N, 2] y", "y = MatMul (x, w)", w=(3, 2))
    fragment = as_fragment(model, find_classifier(model))
    x = np.ones((2, 3), np.float32)
    found = run_onnx(ir.to_proto(fragment).SerializeToString(), {"x": x})
    np.testing.assert_array_equal(found["features"], x)


def test_values_called_like_the_outputs_make_room() -> None:
    model = text_graph(
        "float[N, 3] x => float[N, 2] y",
        "features = MatMul (x, w)\nscores = Relu (features)\ny = MatMul (scores, v)",
        w=(3, 5),
        v=(5, 2),
    )
    fragment = as_fragment(model, find_classifier(model))
    onnx.checker.check_model(ir.to_proto(fragment), full_check=True)
    assert find_classifier(fragment).feature == "features"


@pytest.mark.parametrize(
    "body",
    [
        "s = MatMul (x, w)\ny = Relu (s)",
        "t = Transpose (x)\ny = MatMul (x, t)",
        "c = Constant <value_floats = [1.0, 2.0, 3.0]> ()\ny = Mul (x, c)",
    ],
)
def test_a_graph_without_a_linear_last_node_is_refused(body: str) -> None:
    constants: dict[str, Any] = {"w": (3, 3)} if "w" in body else {}
    model = text_graph("float[N, 3] x => float[P, Q] y", body, **constants)
    with pytest.raises(GraphError) as caught:
        find_classifier(model)
    assert caught.value.reason is GraphReason.GRAPH_NO_LINEAR_CLASSIFIER
