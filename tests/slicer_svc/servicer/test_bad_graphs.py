"""Every kind of bad graph is refused with its reason, and nothing of it stays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper
from sliceandpack.slicer.v1.models_pb2 import GetModelRequest

from tests.helpers.processes import ServiceProcess
from tests.helpers.service_errors import facts, refusal_of
from tests.helpers.slicer import SlicerClient, scratch_of
from tests.helpers.submissions import MLP, submission

GOOD = submission(MLP)
Change = Callable[[ModelProto], None]


def changed(change: Change) -> bytes:
    model = onnx.load_model_from_string(GOOD.graph)
    change(model)
    return bytes(model.SerializeToString())


def weight(model: ModelProto, name: str) -> TensorProto:
    return next(tensor for tensor in model.graph.initializer if tensor.name == name)


def wrong_opset(model: ModelProto) -> None:
    model.opset_import[0].version = 5


def unknown_operator(model: ModelProto) -> None:
    model.graph.node[2].op_type = "Frobnicate"


def unknown_domain(model: ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("com.example", 1))
    model.graph.node[2].domain = "com.example"


def external(location: str) -> Change:
    def change(model: ModelProto) -> None:
        tensor = weight(model, "w2")
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)

    return change


def cycle(model: ModelProto) -> None:
    model.graph.node[0].input[0] = "scores"


def missing_initialiser(model: ModelProto) -> None:
    model.graph.initializer.remove(weight(model, "w2"))


def not_finite(model: ModelProto) -> None:
    values = numpy_helper.to_array(weight(model, "w2")).copy()
    values[0, 0] = np.nan
    weight(model, "w2").CopyFrom(numpy_helper.from_array(values, "w2"))


def endless_loop(model: ModelProto) -> None:
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["on"], ["on_out"]),
            helper.make_node("Identity", ["state"], ["state_out"]),
        ],
        "forever",
        [
            helper.make_tensor_value_info("round", TensorProto.INT64, []),
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("on_out", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state_out", TensorProto.FLOAT, None),
        ],
    )
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "always"))
    model.graph.node[-1].output[0] = "before"
    loop = helper.make_node("Loop", ["", "always", "before"], ["scores"], body=body)
    model.graph.node.append(loop)


def five_gigabytes(model: ModelProto) -> None:
    tensor = weight(model, "w2")
    tensor.dims[:] = [50_000, 25_000]


def five_gigabytes_of_input(model: ModelProto) -> None:
    dims = model.graph.input[0].type.tensor_type.shape.dim
    dims[2].dim_value, dims[3].dim_value = 50_000, 25_000


def nothing_to_slice(model: ModelProto) -> None:
    del model.graph.node[:]
    tensor = numpy_helper.from_array(np.ones((3, 64), np.float32), "w3")
    weight(model, "w3").CopyFrom(tensor)
    model.graph.node.append(helper.make_node("Flatten", ["x"], ["flat"]))
    model.graph.node.append(helper.make_node("Gemm", ["flat", "w3", "b3"], ["scores"], transB=1))


def no_classifier(model: ModelProto) -> None:
    del model.graph.node[1:]
    model.graph.node[0].output[0] = "scores"
    del model.graph.initializer[:]
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 64


def text_input(model: ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.STRING


def double_input(model: ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.DOUBLE


def input_without_shape(model: ModelProto) -> None:
    model.graph.input[0].type.tensor_type.ClearField("shape")


def input_of_no_pixel(model: ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 0


def deeply_nested(model: ModelProto) -> None:
    graph = model.graph
    for _ in range(60):
        attribute = helper.make_attribute("then_branch", onnx.GraphProto(name="inner"))
        graph.node.add(op_type="If", input=["c"], output=["d"]).attribute.append(attribute)
        graph = graph.node[-1].attribute[0].g


def doubled_forty_times(model: ModelProto) -> None:
    model.graph.node[0].input[0] = "mean"
    model.graph.node.insert(0, helper.make_node("GlobalAveragePool", ["x40"], ["mean"]))
    names = ["x", *(f"x{place}" for place in range(1, 41))]
    for before, after in reversed(list(pairwise(names))):
        model.graph.node.insert(0, helper.make_node("Concat", [before, before], [after], axis=2))
    w2 = numpy_helper.from_array(np.ones((16, 1), np.float32), "w2")
    weight(model, "w2").CopyFrom(w2)


def overflowing(model: ModelProto) -> None:
    for name in ("w2", "w3"):
        values = numpy_helper.to_array(weight(model, name)) * np.float32(1e38)
        tensor = numpy_helper.from_array(np.clip(values, -3e38, 3e38), name)
        weight(model, name).CopyFrom(tensor)


CASES: Mapping[str, tuple[bytes, str]] = {
    "not ONNX": (b"not a model at all", "GRAPH_NOT_ONNX"),
    "truncated": (GOOD.graph[: len(GOOD.graph) // 2], "GRAPH_NOT_ONNX"),
    "wrong opset": (changed(wrong_opset), "GRAPH_OPSET_UNSUPPORTED"),
    "unknown operator": (changed(unknown_operator), "GRAPH_OPERATOR_UNSUPPORTED"),
    "unknown domain": (changed(unknown_domain), "GRAPH_OPERATOR_UNSUPPORTED"),
    "external data": (changed(external("weights.bin")), "GRAPH_EXTERNAL_DATA"),
    "external data outside": (changed(external("../../etc/passwd")), "GRAPH_EXTERNAL_DATA"),
    "cycle": (changed(cycle), "GRAPH_CYCLE"),
    "missing initialiser": (changed(missing_initialiser), "GRAPH_VALUE_MISSING"),
    "NaN weight": (changed(not_finite), "GRAPH_NOT_FINITE"),
    "scores that overflow": (changed(overflowing), "GRAPH_INVALID"),
    "endless loop": (changed(endless_loop), "GRAPH_OPERATOR_UNSUPPORTED"),
    "deeply nested": (changed(deeply_nested), "GRAPH_TOO_LARGE"),
    "tensor of 5 GB": (changed(five_gigabytes), "GRAPH_TOO_LARGE"),
    "input of 5 GB": (changed(five_gigabytes_of_input), "GRAPH_TOO_LARGE"),
    "values of 2^46": (changed(doubled_forty_times), "GRAPH_TOO_LARGE"),
    "nothing to slice": (changed(nothing_to_slice), "GRAPH_NO_SLICEABLE_UNIT"),
    "no classifier": (changed(no_classifier), "GRAPH_NO_LINEAR_CLASSIFIER"),
    "text input": (changed(text_input), "GRAPH_TYPE_UNSUPPORTED"),
    "double input": (changed(double_input), "GRAPH_TYPE_UNSUPPORTED"),
    "input without shape": (changed(input_without_shape), "GRAPH_INVALID"),
    "input of no pixel": (changed(input_of_no_pixel), "GRAPH_INVALID"),
}


@pytest.mark.parametrize(("graph", "reason"), CASES.values(), ids=CASES.keys())
async def test_a_bad_graph_is_refused_and_nothing_of_it_stays(
    slicer: SlicerClient, slicer_server: ServiceProcess, graph: bytes, reason: str
) -> None:
    error = await refusal_of(slicer.submit(replace(GOOD, graph=graph), "bad-graph"))
    assert facts(error) == ("INVALID_ARGUMENT", reason)
    again = await refusal_of(slicer.call("GetModel", GetModelRequest(name="models/bad-graph")))
    assert facts(again) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")
    assert scratch_of(slicer_server) == []
    assert await slicer.is_serving()
