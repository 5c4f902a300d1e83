import struct

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxgraph.errors import GraphReason
from onnxgraph.load import load_model
from tests.helpers.graph_texts import DENSE, parse
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


def test_half_precision_weights_are_refused_with_advice() -> None:
    model = parse(DENSE)
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.ones((4, 6), np.float16), "w0"))
    error = refusal(model)
    assert (error.reason, error.node) == (R.GRAPH_TYPE_UNSUPPORTED, "w0")
    assert "float32" in error.advice


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
