import numpy as np
import onnx
import onnx_ir as ir
import pytest

from onnxgraph.errors import GraphError, GraphReason
from onnxgraph.load import load_model
from onnxgraph.normalise import normalise
from onnxgraph.parity import compare, run_onnx
from onnxgraph.passes.raise_opset import WORKING_OPSET
from onnxgraph.serialise import from_trusted_bytes, lowest_opset, to_bytes
from tests.helpers.graph_texts import CONVOLUTION, DENSE, parse


def normal(text: str, opset: int = 20) -> ir.Model:
    return normalise(load_model(parse(text, opset=opset, ir_version=10).SerializeToString()))


@pytest.mark.parametrize("text", [DENSE, CONVOLUTION])
@pytest.mark.parametrize("opset", [13, 17, 20, 23])
def test_plain_graphs_are_written_at_opset_17_and_ir_8(text: str, opset: int) -> None:
    proto = onnx.load_from_string(to_bytes(normal(text, opset)))
    assert [(entry.domain, entry.version) for entry in proto.opset_import] == [("", 17)]
    assert proto.ir_version == 8


def test_a_relabelled_graph_computes_the_same() -> None:
    model = normal(CONVOLUTION)
    x = np.random.default_rng(0).standard_normal((5, 2, 6, 6)).astype(np.float32)
    written = run_onnx(to_bytes(model), {"x": x})["scores"]
    working = run_onnx(ir.serde.serialize_model(model).SerializeToString(), {"x": x})["scores"]
    assert compare(written, working, atol=0, rtol=1e-6).passed


NEEDS = {
    "axes of ReduceMean are an input from 18": (
        "<int64[1] axis = {1}> { y = ReduceMean (x, axis) }",
        18,
    ),
    "ReduceMean without axes meant the same before": ("{ y = ReduceMean (x) }", 17),
    "Gelu is an operator from 20": ("{ y = Gelu (x) }", 20),
    "AveragePool counts other elements in ceil mode from 19": (
        "{ y = AveragePool <kernel_shape = [2, 2], ceil_mode = 1> (x) }",
        19,
    ),
    "AveragePool has dilations from 19": (
        "{ y = AveragePool <kernel_shape = [2, 2], dilations = [2, 2]> (x) }",
        19,
    ),
    "AveragePool without either": ("{ y = AveragePool <kernel_shape = [2, 2]> (x) }", 17),
    "Pad has axes from 18": (
        "<int64[2] pads = {1, 1}, float zero = {0}, int64[1] axis = {2}>"
        " { y = Pad (x, pads, zero, axis) }",
        18,
    ),
    "Pad of all axes": ("<int64[8] pads = {0, 0, 1, 1, 0, 0, 1, 1}> { y = Pad (x, pads) }", 17),
}


@pytest.mark.parametrize(("body", "expected"), NEEDS.values(), ids=NEEDS.keys())
def test_the_opset_is_the_lowest_that_means_the_same(body: str, expected: int) -> None:
    text = f"g (float[batch, 2, 5, 5] x) => (float[batch, a, b, c] y) {body}"
    model = ir.serde.deserialize_model(parse(text, opset=20, ir_version=10))
    assert lowest_opset(model) == expected
    onnx.checker.check_model(to_bytes(model), full_check=True)


def test_the_same_graph_gives_the_same_bytes_and_back() -> None:
    model = normal(CONVOLUTION)
    data = to_bytes(model)
    assert to_bytes(model.clone()) == data
    again = from_trusted_bytes(data)
    assert to_bytes(again) == data
    assert again.graph.opset_imports == {"": WORKING_OPSET}


def test_a_trusted_graph_comes_with_its_shapes() -> None:
    model = from_trusted_bytes(to_bytes(normal(CONVOLUTION)))
    shapes = {value.name: value.shape for node in model.graph for value in node.outputs}
    assert shapes["maps"] == ir.Shape(["batch", 4, 6, 6])


def test_writing_leaves_the_graph_as_it_was() -> None:
    model = normal(DENSE)
    before = str(model)
    to_bytes(model)
    assert str(model) == before


def test_an_invalid_graph_is_never_written() -> None:
    model = normal(DENSE)
    tensor = ir.tensor(np.ones((2, 2), np.float32), name="w1")
    model.graph.initializers["w1"].const_value = tensor
    with pytest.raises(GraphError) as caught:
        to_bytes(model)
    assert caught.value.reason == GraphReason.GRAPH_INVALID
