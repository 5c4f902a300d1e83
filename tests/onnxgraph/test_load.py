from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from onnxgraph.errors import GraphReason
from onnxgraph.load import load_model
from tests.helpers.graph_texts import CONVOLUTION, DENSE, parse
from tests.helpers.refusals import refusal

R = GraphReason


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


def test_the_checker_accepts_what_the_fixtures_hold() -> None:
    for text in (DENSE, CONVOLUTION):
        onnx.checker.check_model(parse(text), full_check=True)
