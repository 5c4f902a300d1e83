import struct
import tracemalloc
from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from onnxgraph.errors import GraphError, GraphReason
from onnxgraph.limits import Limits
from onnxgraph.load import load_model
from tests.helpers.graph_texts import CONVOLUTION, DENSE, parse

R = GraphReason


def refusal(data: bytes | ModelProto, limits: Limits | None = None) -> GraphError:
    """What `load_model` says about a model that it refuses."""
    data = data if isinstance(data, bytes) else data.SerializeToString()
    with pytest.raises(GraphError) as caught:
        load_model(data, limits=limits or Limits())
    error = caught.value
    assert error.message
    assert error.advice.endswith(".")
    return error


@pytest.mark.parametrize("text", [DENSE, CONVOLUTION])
@pytest.mark.parametrize("opset", [13, 17, 20, 23])
def test_a_plain_graph_is_loaded(text: str, opset: int) -> None:
    model = load_model(parse(text, opset=opset, ir_version=10).SerializeToString())
    assert [value.name for value in model.graph.inputs] == ["x"]
    assert model.graph.opset_imports[""] == opset


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"PK\x03\x04 a zip archive",
        b"\x80\x04\x95 a pickle",
        b"\xff" * 64,
        b"\x08\x08",
    ],
    ids=["empty", "zero", "zip", "pickle", "ones", "no graph"],
)
def test_bytes_that_are_no_model_are_not_onnx(data: bytes) -> None:
    assert refusal(data).reason == R.GRAPH_NOT_ONNX


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_not_onnx(share: float) -> None:
    data = parse(DENSE).SerializeToString()
    assert refusal(data[: int(len(data) * share)]).reason == R.GRAPH_NOT_ONNX


@pytest.mark.parametrize("opset", [1, 7, 8, 24, 25])
def test_an_opset_outside_the_range_is_refused_with_advice(opset: int) -> None:
    model = parse(DENSE)
    model.opset_import[0].version = opset
    error = refusal(model)
    assert error.reason == R.GRAPH_OPSET_UNSUPPORTED
    assert error.metadata["opset"] == str(opset)
    assert "opset_version" in error.advice


def test_a_missing_or_doubled_opset_is_refused() -> None:
    model = parse(DENSE)
    del model.opset_import[:]
    assert refusal(model).reason == R.GRAPH_OPSET_UNSUPPORTED
    model.opset_import.extend([helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx", 18)])
    assert refusal(model).reason == R.GRAPH_OPSET_UNSUPPORTED


def test_an_unknown_ir_version_is_refused() -> None:
    assert refusal(parse(DENSE, ir_version=99)).reason == R.GRAPH_OPSET_UNSUPPORTED


def _operator(name: str, domain: str = "") -> ModelProto:
    model = parse(DENSE)
    model.graph.node[2].op_type, model.graph.node[2].domain = name, domain
    model.graph.node[2].name = "third"
    return model


@pytest.mark.parametrize(
    ("name", "domain"), [("Frobnicate", ""), ("NonZero", ""), ("Relu", "com.acme"), ("Loop", "")]
)
def test_an_operator_outside_the_table_is_named(name: str, domain: str) -> None:
    error = refusal(_operator(name, domain))
    assert error.reason == R.GRAPH_OPERATOR_UNSUPPORTED
    assert error.node == "third"
    assert name in error.metadata["operator"]
    assert "third" in error.message


def test_a_loop_that_never_ends_is_refused_unrun() -> None:
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["again"], ["again_out"]),
            helper.make_node("Identity", ["state"], ["state_out"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("step", TensorProto.INT64, []),
            helper.make_tensor_value_info("again", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, ["batch", 3]),
        ],
        [
            helper.make_tensor_value_info("again_out", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state_out", TensorProto.FLOAT, ["batch", 3]),
        ],
    )
    model = parse(DENSE)
    model.graph.node[-1].output[0] = "state"
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "forever"))
    model.graph.node.append(
        helper.make_node("Loop", ["", "forever", "state"], ["scores"], "spin", body=body)
    )
    error = refusal(model)
    assert (error.reason, error.node) == (R.GRAPH_OPERATOR_UNSUPPORTED, "spin")


def test_a_subgraph_in_a_harmless_operator_is_refused() -> None:
    model = parse(DENSE)
    graph = ModelProto()
    graph.CopyFrom(model)
    model.graph.node[2].attribute.append(helper.make_attribute("body", graph.graph))
    assert refusal(model).reason == R.GRAPH_OPERATOR_UNSUPPORTED


def test_functions_of_the_model_are_refused() -> None:
    model = parse(DENSE)
    function = helper.make_function(
        "acme", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])], []
    )
    model.functions.append(function)
    assert refusal(model).reason == R.GRAPH_OPERATOR_UNSUPPORTED


@pytest.mark.parametrize("location", ["weights.bin", "../../etc/passwd", "/etc/passwd"])
def test_external_data_is_refused_and_never_opened(location: str) -> None:
    model = parse(DENSE)
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    error = refusal(model)
    assert (error.reason, error.node) == (R.GRAPH_EXTERNAL_DATA, tensor.name)
    assert "external_data=False" in error.advice


def test_a_cycle_is_named() -> None:
    model = parse(DENSE)
    for node, name in zip(model.graph.node, "abcd", strict=True):
        node.name = name
    model.graph.node[0].input[0] = "active"
    error = refusal(model)
    assert error.reason == R.GRAPH_CYCLE
    assert (
        "a -> b -> c" in error.message or "b -> c -> a" in error.message or "c -> a" in str(error)
    )


def test_a_node_that_reads_itself_is_a_cycle() -> None:
    model = parse(DENSE)
    model.graph.node[2].input[0] = "active"
    assert refusal(model).reason == R.GRAPH_CYCLE


def test_a_missing_initializer_is_named() -> None:
    model = parse(DENSE)
    del model.graph.initializer[2]
    error = refusal(model)
    assert (error.reason, error.node) == (R.GRAPH_VALUE_MISSING, "w1")


def test_an_output_that_nothing_computes_is_named() -> None:
    model = parse(DENSE)
    model.graph.output[0].name = "logits"
    error = refusal(model)
    assert (error.reason, error.node) == (R.GRAPH_VALUE_MISSING, "logits")


def test_nodes_out_of_order_are_invalid() -> None:
    model = parse(DENSE)
    first = ModelProto()
    first.CopyFrom(model)
    del model.graph.node[0]
    model.graph.node.append(first.graph.node[0])
    assert refusal(model).reason == R.GRAPH_INVALID


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


def test_a_declared_tensor_of_five_gigabytes_allocates_nothing() -> None:
    model = parse(DENSE)
    del model.graph.initializer[0].dims[:]
    model.graph.initializer[0].dims.extend([1250, 1_000_000])
    data = model.SerializeToString()
    tracemalloc.start()
    error = refusal(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (error.reason, error.node) == (R.GRAPH_TOO_LARGE, "w0")
    assert peak < 10_000_000


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
    ("limits", "what"),
    [
        (Limits(bytes=100), "Bytes of the model"),
        (Limits(fields=20), "Protobuf fields"),
        (Limits(nodes=3), "Nodes"),
        (Limits(initializers=3), "Initializers"),
        (Limits(tensor_elements=10), "Elements of tensor"),
        (Limits(value_elements=3), "Elements of 'x'"),
        (Limits(tensor_bytes=100), "Declared bytes"),
        (Limits(tensor_rank=1), "Rank of"),
        (Limits(nesting=3), "Nesting"),
        (Limits(name_length=3), "Characters of a name"),
    ],
)
def test_each_cap_is_reported_with_size_and_limit(limits: Limits, what: str) -> None:
    error = refusal(parse(DENSE), limits)
    assert error.reason == R.GRAPH_TOO_LARGE
    assert error.message.startswith(what)
    assert int(error.metadata["size"]) > int(error.metadata["limit"])


def test_packed_integers_are_capped_before_they_are_parsed() -> None:
    model = parse(DENSE)
    model.graph.initializer.append(
        helper.make_tensor("shape", TensorProto.INT64, [4], [1, 2, 3, 4])
    )
    error = refusal(model, Limits(packed_bytes=3))
    assert error.reason == R.GRAPH_TOO_LARGE


def test_a_million_empty_nodes_are_refused_before_they_are_parsed() -> None:
    node = b"\x0a\x00"
    graph = node * 3_000_000
    length = bytearray()
    size = len(graph)
    while size > 127:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    length.append(size)
    data = parse(DENSE).SerializeToString() + b"\x3a" + bytes(length) + graph
    tracemalloc.start()
    error = refusal(data, Limits(fields=100_000))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert error.reason == R.GRAPH_TOO_LARGE
    assert peak < 100_000_000


def test_deep_nesting_is_refused() -> None:
    inner = b""
    for _ in range(60):
        # GraphProto.node (1) . NodeProto.attribute (5) . AttributeProto.g (6)
        for tag in (0x32, 0x2A, 0x0A):
            length = len(inner)
            head = bytes([tag]) + (
                bytes([length]) if length < 128 else bytes([length & 0x7F | 0x80, length >> 7])
            )
            inner = head + inner
    length = len(inner)
    data = b"\x08\x08\x3a" + bytes([length & 0x7F | 0x80, length >> 7]) + inner
    assert refusal(data).reason == R.GRAPH_TOO_LARGE


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


def _rename_output(model: ModelProto) -> None:
    model.graph.node[1].output[0] = "product"


def _double_initializer(model: ModelProto) -> None:
    model.graph.initializer.append(model.graph.initializer[0])


def _double_input(model: ModelProto) -> None:
    model.graph.input.append(model.graph.input[0])


def _overwrite_input(model: ModelProto) -> None:
    model.graph.node[1].output[0] = "x"


@pytest.mark.parametrize(
    "damage", [_rename_output, _double_initializer, _double_input, _overwrite_input]
)
def test_a_name_that_stands_for_two_values_is_invalid(
    damage: Callable[[ModelProto], None],
) -> None:
    model = parse(DENSE)
    damage(model)
    assert refusal(model).reason == R.GRAPH_INVALID


def test_a_graph_without_inputs_or_outputs_is_invalid() -> None:
    model = parse(DENSE)
    del model.graph.output[:]
    assert refusal(model).reason == R.GRAPH_INVALID
    model = parse(DENSE)
    model.graph.initializer.append(numpy_helper.from_array(np.ones((1, 4), np.float32), "x"))
    assert refusal(model).reason == R.GRAPH_INVALID


def test_a_sequence_as_input_is_refused() -> None:
    model = parse(DENSE)
    model.graph.input[0].type.CopyFrom(
        helper.make_sequence_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, [1, 4]))
    )
    assert refusal(model).reason == R.GRAPH_TYPE_UNSUPPORTED


def test_an_operator_used_against_its_schema_is_invalid() -> None:
    model = parse(DENSE)
    model.graph.node[2].input.append("b0")
    error = refusal(model)
    assert error.reason == R.GRAPH_INVALID
    assert "onnx.checker" in error.message


def test_a_normaliser_in_training_mode_is_refused() -> None:
    model = parse(
        """
        g (float[batch, 4] x) => (float[batch, 4] y)
          <float[4] scale, float[4] shift, float[4] mean, float[4] variance>
        { y, m, v = BatchNormalization <training_mode = 1> (x, scale, shift, mean, variance) }
        """
    )
    error = refusal(model)
    assert error.reason == R.GRAPH_TRAINING_MODE
    assert "eval()" in error.advice


def test_a_name_that_is_no_text_is_not_onnx() -> None:
    data = parse(DENSE).SerializeToString().replace(b"active", b"act\xffve")
    assert refusal(data).reason == R.GRAPH_NOT_ONNX


def test_weights_among_the_inputs_of_an_old_export_are_weights() -> None:
    model = parse(DENSE, opset=13)
    for tensor in model.graph.initializer:
        model.graph.input.append(
            helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        )
    load_model(model.SerializeToString())


def test_unpacked_floats_are_read_like_raw_ones() -> None:
    model = parse(DENSE)
    tensor = model.graph.initializer[1]
    values = struct.unpack("<6f", tensor.raw_data)
    tensor.CopyFrom(helper.make_tensor("b0", TensorProto.FLOAT, [6], values))
    loaded = load_model(model.SerializeToString())
    constant = loaded.graph.initializers["b0"].const_value
    assert constant is not None
    np.testing.assert_array_equal(constant.numpy(), np.array(values, np.float32))


def test_the_checker_accepts_what_the_fixtures_hold() -> None:
    for text in (DENSE, CONVOLUTION):
        onnx.checker.check_model(parse(text), full_check=True)
