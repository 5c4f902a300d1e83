from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir as ir
import pytest

from onnxgraph.errors import GraphError, GraphReason
from onnxgraph.load import load_model
from onnxgraph.merge import Branch, Tail, merge
from onnxgraph.normalise import normalise
from onnxgraph.parity import compare, run_onnx
from onnxgraph.serialise import from_trusted_bytes, to_bytes
from tests.helpers.graph_texts import CONVOLUTION, DENSE, parse

OTHER = """
other (float[batch, 2, 6, 6] x) => (float[batch, 2] scores)
  <float[5, 2, 3, 3] w0, float[5] b0, float[2, 80] w1, float[2] b1>
{
  maps = Conv (x, w0, b0)
  active = Tanh (maps)
  flat = Flatten (active)
  scores = Gemm <transB = 1> (flat, w1, b1)
}
"""


def normal(text: str, seed: int = 0) -> ir.Model:
    return normalise(load_model(parse(text, seed=seed).SerializeToString()))


def head(weight: npt.NDArray[np.float32]) -> Tail:
    def tail(tape: ir.tape.Tape, ends: Sequence[Sequence[ir.Value]]) -> Sequence[ir.Value]:
        joined = tape.op("Concat", [value for end in ends for value in end], {"axis": 1})
        scores = tape.op("Gemm", [joined, tape.initializer(ir.tensor(weight), "head/weight")])
        output = ir.Value(name="probabilities")
        return [tape.op("Softmax", [scores], {"axis": -1}, output=output)]

    return tail


def softmax(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def test_what_branches_have_in_common_is_kept_and_computed_once() -> None:
    model = normal(CONVOLUTION)
    other = model.clone()
    last = list(other.graph.initializers.values())[-1]
    assert last.const_value is not None
    last.const_value = ir.tensor(last.const_value.numpy() * 2, name=last.name)
    weight = np.random.default_rng(2).standard_normal((6, 3)).astype(np.float32)
    branches = [Branch(m, f"{i}/", ("scores",)) for i, m in enumerate((model, other))]
    merged = merge(branches, head(weight))
    kinds = [node.op_type for node in merged.graph]
    assert kinds.count("Conv") == [node.op_type for node in model.graph].count("Conv")
    assert kinds.count("Gemm") == 3
    x = np.random.default_rng(0).standard_normal((3, 2, 6, 6)).astype(np.float32)
    parts = [run_onnx(to_bytes(one), {"x": x})["scores"] for one in (model, other)]
    wanted = softmax(np.concatenate(parts, axis=1).astype(np.float64) @ weight)
    found = run_onnx(to_bytes(merged), {"x": x})["probabilities"]
    assert compare(found, wanted, atol=0, rtol=1e-5).passed


def test_a_merged_graph_computes_its_branches_and_its_tail() -> None:
    models = [normal(CONVOLUTION), normal(OTHER), normal(CONVOLUTION, seed=1)]
    weight = np.random.default_rng(2).standard_normal((8, 3)).astype(np.float32)
    branches = [Branch(m, f"{i}/", ("scores",)) for i, m in enumerate(models)]
    data = to_bytes(merge(branches, head(weight)))
    for batch in (1, 2, 7, 64):
        x = np.random.default_rng(batch).standard_normal((batch, 2, 6, 6)).astype(np.float32)
        parts = [run_onnx(to_bytes(model), {"x": x})["scores"] for model in models]
        wanted = softmax(np.concatenate(parts, axis=1).astype(np.float64) @ weight)
        found = run_onnx(data, {"x": x})["probabilities"]
        assert compare(found, wanted, atol=0, rtol=1e-5).passed


def test_a_merged_graph_has_one_input_and_a_symbolic_batch_everywhere() -> None:
    branches = [
        Branch(normal(CONVOLUTION), "a/", ("scores",)),
        Branch(normal(OTHER), "b/", ("scores",)),
    ]
    proto = onnx.load_from_string(to_bytes(merge(branches, head(np.ones((5, 3), np.float32)))))
    assert [value.name for value in proto.graph.input] == ["x"]
    assert [value.name for value in proto.graph.output] == ["probabilities"]
    for value in (*proto.graph.input, *proto.graph.output):
        assert value.type.tensor_type.shape.dim[0].dim_param == "batch"
    assert proto.graph.output[0].type.tensor_type.shape.dim[1].dim_value == 3


def test_merging_is_deterministic_and_survives_a_round_trip() -> None:
    model = normal(CONVOLUTION)
    read = from_trusted_bytes(to_bytes(model))
    weight = np.ones((3, 2), np.float32)
    once = to_bytes(merge([Branch(model, "a/", ("scores",))], head(weight)))
    assert to_bytes(merge([Branch(read, "a/", ("scores",))], head(weight))) == once


def test_branches_with_inputs_of_their_own_keep_them() -> None:
    dense = normal(DENSE.replace("x", "features"))
    branches = [Branch(normal(CONVOLUTION), "a/", ("scores",)), Branch(dense, "b/", ("scores",))]
    data = to_bytes(merge(branches, head(np.ones((6, 2), np.float32))))
    x = np.ones((3, 2, 6, 6), np.float32)
    found = run_onnx(data, {"x": x, "features": np.ones((3, 4), np.float32)})
    assert found["probabilities"].shape == (3, 2)


def test_names_do_not_collide_even_with_prefixes_within_prefixes() -> None:
    # "a/" + "b/maps" and "a/b/" + "maps" are the same name.
    model, other = normal(CONVOLUTION), normal(CONVOLUTION, seed=3)
    for value in model.graph.initializers.copy().values():
        value.name = f"b/{value.name}"
    for node in model.graph:
        for value in node.outputs:
            if not value.is_graph_output():
                value.name = f"b/{value.name}"
    branches = [Branch(model, "a/", ("scores",)), Branch(other, "a/b/", ("scores",))]
    data = to_bytes(merge(branches, head(np.eye(6, dtype=np.float32))))
    x = np.random.default_rng(0).standard_normal((2, 2, 6, 6)).astype(np.float32)
    parts = [run_onnx(to_bytes(m), {"x": x})["scores"] for m in (model, other)]
    wanted = softmax(np.concatenate(parts, axis=1).astype(np.float64))
    found = run_onnx(data, {"x": x})["probabilities"]
    assert compare(found, wanted, atol=0, rtol=1e-5).passed


def test_what_no_output_needs_is_left_out() -> None:
    text = CONVOLUTION.replace(
        "(float[batch, 3] scores)", "(float[batch, 3] scores, float[batch, 4] flat)"
    )
    merged = merge([Branch(normal(text), "a/", ("flat",))], head(np.ones((4, 2), np.float32)))
    assert "a/w1" not in merged.graph.initializers
    assert [node.op_type for node in merged.graph].count("Gemm") == 1


def test_merging_leaves_the_branches_as_they_were() -> None:
    model = normal(CONVOLUTION)
    before = to_bytes(model)
    merge([Branch(model, "a/", ("scores",))], head(np.ones((3, 2), np.float32)))
    assert to_bytes(model) == before


@pytest.mark.parametrize(
    "text", [DENSE, OTHER.replace("[batch, 2, 6, 6]", "[batch, 2, 8, 8]").replace("80", "180")]
)
def test_inputs_that_disagree_are_named_with_both_sides(text: str) -> None:
    branches = [
        Branch(normal(CONVOLUTION), "first/", ("scores",)),
        Branch(normal(text), "second/", ("scores",)),
    ]
    with pytest.raises(GraphError) as caught:
        merge(branches, head(np.ones((6, 2), np.float32)))
    error = caught.value
    assert error.reason == GraphReason.GRAPHS_INCOMPATIBLE
    assert error.metadata == {"node": "x", "input": "x", "first": "first/", "second": "second/"}
    assert "FLOAT(batch, 2, 6, 6)" in error.message


def test_a_missing_output_is_named() -> None:
    with pytest.raises(GraphError) as caught:
        merge([Branch(normal(DENSE), "a/", ("features",))], head(np.ones((3, 2), np.float32)))
    assert caught.value.reason == GraphReason.GRAPH_VALUE_MISSING
    assert "features" in caught.value.message
