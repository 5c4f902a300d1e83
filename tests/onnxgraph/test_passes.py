"""The passes one by one, where a whole normalisation would hide them."""

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
import pytest
from onnx import ModelProto

from onnxgraph.limits import Limits
from onnxgraph.load import load_model
from onnxgraph.normalise import normalise
from onnxgraph.parity import compare, run_onnx
from onnxgraph.passes.flatten_reshapes import FlattenReshapes
from onnxgraph.passes.fold_batch_normalization import FoldBatchNormalization
from onnxgraph.passes.fold_constants import FoldConstants
from onnxgraph.passes.fold_shapes import FoldShapes
from onnxgraph.passes.infer_shapes import InferShapes, forget_shapes
from onnxgraph.passes.raise_opset import RaiseOpset
from onnxgraph.passes.unshare_initializers import UnshareInitializers
from tests.helpers.graph_texts import DENSE, parse, with_arrays

Array = npt.NDArray[np.float32]


def operators(model: ir.Model) -> list[str]:
    return [node.op_type for node in model.graph]


def run(model: ir.Model | ModelProto, x: Array) -> Array:
    proto = ir.serde.serialize_model(model) if isinstance(model, ir.Model) else model
    return np.asarray(run_onnx(proto.SerializeToString(), {"x": x})["y"], np.float32)


def loaded(model: ModelProto) -> ir.Model:
    return load_model(model.SerializeToString())


NORMALISED = {
    "conv": "t = Conv <pads = [1, 1, 1, 1]> (x, w, b)",
    "conv without bias": "t = Conv <pads = [1, 1, 1, 1], strides = [2, 2]> (x, w)",
}
BN = "y = BatchNormalization <epsilon = 0.01> (t, scale, shift, mean, variance)"
STATISTICS = "float[5] scale, float[5] shift, float[5] mean, float[5] variance"
POSITIVE = {"variance": np.array([0.5, 1, 2, 0.1, 3], np.float32)}


@pytest.mark.parametrize("linear", NORMALISED.values(), ids=NORMALISED.keys())
def test_a_normaliser_after_a_convolution_is_folded(linear: str) -> None:
    graph = f"""
        g (float[batch, 3, 6, 6] x) => (float[batch, 5, h, w] y)
          <float[5, 3, 3, 3] w, float[5] b, {STATISTICS}> {{ {linear} {BN} }}
    """
    model = with_arrays(parse(graph), POSITIVE)
    normal = normalise(loaded(model))
    assert operators(normal) == ["Conv"]
    x = np.random.default_rng(0).standard_normal((3, 3, 6, 6)).astype(np.float32)
    assert compare(run(normal, x), run(model, x), atol=0, rtol=1e-5).passed


DENSE_NORMALISED = {
    "gemm": ("t = Gemm (x, w, b)", ["Gemm"]),
    "gemm with factors": ("t = Gemm <alpha = 0.5, beta = 3.0> (x, w, b)", ["Gemm"]),
    "gemm with one bias for all": ("t = Gemm <beta = 0.5> (x, w, one)", ["Gemm"]),
    "gemm transposed": ("t = Gemm <transB = 1> (x, v, b)", ["Gemm"]),
    "gemm without bias": ("t = Gemm <beta = 2.0, transB = 1> (x, v)", ["Gemm"]),
    "matmul": ("t = MatMul (x, w)", ["MatMul", "Add"]),
    "matmul and bias": ("s = MatMul (x, w) t = Add (s, b)", ["MatMul", "Add"]),
    "bias and matmul": ("s = MatMul (x, w) t = Add (b, s)", ["MatMul", "Add"]),
}


@pytest.mark.parametrize(
    ("linear", "expected"), DENSE_NORMALISED.values(), ids=DENSE_NORMALISED.keys()
)
def test_a_normaliser_after_a_dense_node_is_folded(linear: str, expected: list[str]) -> None:
    graph = f"""
        g (float[batch, 3] x) => (float[batch, 5] y)
          <float[3, 5] w, float[5, 3] v, float[5] b, float[1] one, {STATISTICS}>
        {{ {linear} {BN} }}
    """
    model = with_arrays(parse(graph), POSITIVE)
    normal = normalise(loaded(model))
    assert operators(normal) == expected
    x = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
    assert compare(run(normal, x), run(model, x), atol=0, rtol=1e-5).passed


def test_a_normaliser_whose_input_has_another_reader_stays() -> None:
    graph = f"""
        g (float[batch, 3] x) => (float[batch, 5] z) <float[3, 5] w, float[5] b, {STATISTICS}>
        {{ t = Gemm (x, w, b) {BN} z = Add (y, t) }}
    """
    normal = normalise(loaded(with_arrays(parse(graph), POSITIVE)))
    assert operators(normal) == ["Gemm", "BatchNormalization", "Add"]


def test_a_normaliser_over_positions_of_a_matmul_stays() -> None:
    graph = f"""
        g (float[batch, 5, 3] x) => (float[batch, 5, 5] y) <float[3, 5] w, {STATISTICS}>
        {{ t = MatMul (x, w) {BN} }}
    """
    normal = normalise(loaded(with_arrays(parse(graph), POSITIVE)))
    assert operators(normal) == ["MatMul", "BatchNormalization"]


def test_folding_one_of_two_nodes_with_one_weight_leaves_the_other() -> None:
    graph = f"""
        g (float[batch, 3] x) => (float[batch, 5] z) <float[3, 5] w, {STATISTICS}>
        {{ t = Gemm (x, w) {BN} other = Gemm (x, w) z = Add (y, other) }}
    """
    model = with_arrays(parse(graph), POSITIVE)
    normal = normalise(loaded(model))
    assert operators(normal) == ["Gemm", "Gemm", "Add"]
    x = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
    found = run_onnx(ir.serde.serialize_model(normal).SerializeToString(), {"x": x})["z"]
    wanted = run_onnx(model.SerializeToString(), {"x": x})["z"]
    assert compare(found, wanted, atol=0, rtol=1e-5).passed


def test_folding_says_whether_it_changed_anything() -> None:
    model = loaded(parse(DENSE))
    assert not FoldBatchNormalization()(model).modified
    assert not UnshareInitializers()(model).modified
    assert RaiseOpset()(model).modified
    assert not RaiseOpset()(model).modified
    forget_shapes(model)
    assert InferShapes(Limits())(model).modified
    assert not InferShapes(Limits())(model).modified
    assert not FlattenReshapes()(model).modified
    assert not FoldShapes()(model).modified
    FoldConstants()(model)
    assert not FoldConstants()(model).modified


def test_a_shared_weight_gets_a_copy_for_each_reader() -> None:
    model = loaded(
        parse(
            """
            g (float[batch, 3] x) => (float[batch, 3] y) <float[3, 3] w> {
              a = MatMul (x, w)
              b = MatMul (a, w)
              y = MatMul (b, w)
            }
            """
        )
    )
    assert UnshareInitializers()(model).modified
    names = [node.inputs[1].name for node in model.graph if node.inputs[1] is not None]
    assert len(set(names)) == 3
    assert names[0] == "w"
    assert set(model.graph.initializers) == set(names)


@pytest.mark.parametrize("target", ["{-1, 12}", "{0, 12}", "{0, -1}"])
def test_a_reshape_that_joins_all_but_the_batch_becomes_a_flatten(target: str) -> None:
    graph = f"""
        g (float[batch, 3, 2, 2] x) => (float[batch, 12] y) <int64[2] target = {target}>
        {{ y = Reshape (x, target) }}
    """
    model = parse(graph)
    normal = normalise(loaded(model))
    assert operators(normal) == ["Flatten"]
    x = np.random.default_rng(0).standard_normal((2, 3, 2, 2)).astype(np.float32)
    np.testing.assert_array_equal(run(normal, x), run(model, x))


def test_a_reshape_that_splits_an_axis_stays_with_a_free_batch() -> None:
    graph = """
        g (float[batch, 6] x) => (float[batch, 2, 3] y) <int64[2] tail = {2, 3}, int64 zero = {0},
          int64[1] front = {0}>
        {
          shape = Shape (x)
          size = Gather (shape, zero)
          batch = Unsqueeze (size, front)
          target = Concat <axis = 0> (batch, tail)
          y = Reshape (x, target)
        }
    """
    normal = normalise(loaded(parse(graph)))
    assert operators(normal) == ["Reshape"]
    target = normal.graph.node(0).inputs[1]
    assert target is not None
    assert target.const_value is not None
    assert target.const_value.numpy().tolist() == [-1, 2, 3]


def test_a_batch_that_joins_positions_is_freed_where_it_varies() -> None:
    graph = """
        g (float[batch, 6, 4] x) => (float[batch, 6, 2] y)
          <int64[1] four = {4}, int64[2] tail = {6, 2}, int64 zero = {0}, int64[1] front = {0},
           float[4, 2] w, int64[1] six = {6}>
        {
          shape = Shape (x)
          size = Gather (shape, zero)
          batch = Unsqueeze (size, front)
          rows = Mul (batch, six)
          flat = Concat <axis = 0> (rows, four)
          joined = Reshape (x, flat)
          product = MatMul (joined, w)
          back = Concat <axis = 0> (batch, tail)
          y = Reshape (product, back)
        }
    """
    model = parse(graph)
    normal = normalise(loaded(model))
    assert operators(normal) == ["Reshape", "MatMul", "Reshape"]
    x = np.random.default_rng(0).standard_normal((7, 6, 4)).astype(np.float32)
    assert compare(run(normal, x), run(model, x), atol=0, rtol=1e-6).passed
