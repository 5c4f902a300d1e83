import struct
from typing import Any, cast

import numpy as np
import onnx_ir as ir
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from onnxgraph.errors import GraphReason
from onnxgraph.load import load_model
from onnxgraph.normalise import normalise
from onnxgraph.parity import compare, run_onnx
from onnxgraph.serialise import to_bytes
from tests.helpers.graph_texts import DENSE, parse, with_arrays
from tests.helpers.refusals import refusal

R = GraphReason


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("raw", [True, False])
def test_a_weight_that_is_not_finite_is_named(value: float, raw: bool) -> None:
    model = parse(DENSE)
    array = numpy_helper.to_array(model.graph.initializer[2]).copy()
    array[1, 1] = value
    tensor = helper.make_tensor("w1", TensorProto.FLOAT, array.shape, array.ravel().tolist())
    model.graph.initializer[2].CopyFrom(numpy_helper.from_array(array, "w1") if raw else tensor)
    error = refusal(model)
    assert (error.reason, error.node) == (R.GRAPH_NOT_FINITE, "w1")


def test_a_pool_whose_padding_is_filled_with_minus_infinity_is_read() -> None:
    model = parse(
        """
        g (float[batch, 2, 5, 5] x) => (float[batch, 2] y)
          <float least, float[18, 2] w, int64[8] pads = {0, 0, 1, 1, 0, 0, 0, 0}>
        {
          q = Pad (x, pads, least)
          p = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (q)
          f = Flatten (p)
          y = MatMul (f, w)
        }
        """
    )
    filled = with_arrays(model, {"least": np.array(-np.inf, np.float32)})
    normal = normalise(load_model(filled.SerializeToString()))
    assert [node.op_type for node in normal.graph] == ["Pad", "MaxPool", "Flatten", "MatMul"]
    assert refusal(with_arrays(model, {"least": np.array(np.nan, np.float32)})).node == "least"


def test_an_attribute_that_is_not_finite_is_refused() -> None:
    model = parse(DENSE)
    model.graph.node[3].attribute.append(helper.make_attribute("alpha", float("nan")))
    assert refusal(model).reason == R.GRAPH_NOT_FINITE


def test_a_constant_that_is_not_finite_is_refused() -> None:
    model = parse(DENSE)
    constant = helper.make_node("Constant", [], ["b0"])
    array = np.full(6, np.nan, np.float32)
    constant.attribute.append(helper.make_attribute("value", numpy_helper.from_array(array)))
    model.graph.node.insert(0, constant)
    del model.graph.initializer[1]
    error = refusal(model)
    assert (error.reason, error.node) == (R.GRAPH_NOT_FINITE, "b0")


def test_a_tensor_whose_data_are_short_is_invalid() -> None:
    model = parse(DENSE)
    tensor = model.graph.initializer[0]
    tensor.raw_data = tensor.raw_data[:-4]
    error = refusal(model)
    assert (error.reason, error.node) == (R.GRAPH_INVALID, "w0")


def test_dimensions_that_overflow_or_are_negative_are_refused() -> None:
    model = parse(DENSE)
    tensor = model.graph.initializer[0]
    del tensor.dims[:]
    tensor.dims.extend([2**62, 2**62, 4])
    assert refusal(model).reason == R.GRAPH_TOO_LARGE
    del tensor.dims[:]
    tensor.dims.extend([-4, -6])
    assert refusal(model).reason == R.GRAPH_INVALID


@pytest.mark.parametrize(
    "kind", [TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16, TensorProto.STRING, 99]
)
def test_inputs_of_other_types_are_refused(kind: int) -> None:
    model = parse(DENSE)
    model.graph.input[0].type.tensor_type.elem_type = kind
    error = refusal(model)
    assert (error.reason, error.node) == (R.GRAPH_TYPE_UNSUPPORTED, "x")


OTHERS = {
    "half": TensorProto.FLOAT16,
    "brain": TensorProto.BFLOAT16,
    "double": TensorProto.DOUBLE,
}


def _inside(kind: int) -> ModelProto:
    """DENSE with its weights, and what is computed of them, in another precision."""
    model = parse(DENSE)
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor).astype(helper.tensor_dtype_to_np_dtype(kind))
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    first, last = model.graph.node[0], model.graph.node[-1]
    first.input[0], last.output[0] = "inner", "other"
    model.graph.node.insert(0, helper.make_node("Cast", ["x"], ["inner"], "to_inner", to=kind))
    back = helper.make_node("Cast", ["other"], ["scores"], "back", to=TensorProto.FLOAT)
    model.graph.node.append(back)
    return model


@pytest.mark.parametrize("kind", OTHERS.values(), ids=OTHERS)
def test_weights_of_another_precision_inside_are_read_as_float32(kind: int) -> None:
    model = _inside(kind)
    normal = normalise(load_model(model.SerializeToString()))
    assert [node.op_type for node in normal.graph] == ["MatMul", "Add", "Relu", "Gemm"]
    weights = [value.const_value for value in normal.graph.initializers.values()]
    assert {weight.dtype for weight in weights if weight} == {ir.DataType.FLOAT}
    x = {"x": np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)}
    found = run_onnx(to_bytes(normal), x)["scores"]
    wanted = cast(list[Any], ReferenceEvaluator(model).run(None, x))[0]
    assert compare(
        found, wanted, atol=0, rtol=0.05 if kind == TensorProto.BFLOAT16 else 0.01
    ).passed


def test_a_double_beyond_single_precision_is_refused() -> None:
    model = _inside(TensorProto.DOUBLE)
    huge = np.full((4, 6), 1e300)
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(huge, "w0"))
    error = refusal(model)
    assert (error.reason, error.node) == (R.GRAPH_NOT_FINITE, "w0")


def test_a_sparse_initializer_is_refused() -> None:
    model = parse(DENSE)
    sparse = model.graph.sparse_initializer.add()
    sparse.values.CopyFrom(numpy_helper.from_array(np.ones(2, np.float32), "few"))
    error = refusal(model)
    assert (error.reason, error.node) == (R.GRAPH_TYPE_UNSUPPORTED, "few")


def test_unpacked_floats_are_read_like_raw_ones() -> None:
    model = parse(DENSE)
    tensor = model.graph.initializer[1]
    values = struct.unpack("<6f", tensor.raw_data)
    tensor.CopyFrom(helper.make_tensor("b0", TensorProto.FLOAT, [6], values))
    loaded = load_model(model.SerializeToString())
    constant = loaded.graph.initializers["b0"].const_value
    assert constant is not None
    np.testing.assert_array_equal(constant.numpy(), np.array(values, np.float32))
