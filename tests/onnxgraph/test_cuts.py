"""Where graphs can be cut with one tensor in between."""

import onnx_ir as ir
import pytest

from onnxgraph.cuts import segments
from tests.helpers.graph_texts import CONVOLUTION, DENSE, parse

RESIDUAL = """
residual (float[batch, 2, 4, 4] x) => (float[batch, 3] scores)
  <float[2, 2, 1, 1] w0, float[2, 2, 1, 1] w1, float[3, 2] w2, float[3] b2>
{
  stem = Relu (x)
  left = Conv (stem, w0)
  active = Relu (left)
  right = Conv (active, w1)
  sum = Add (right, stem)
  pooled = GlobalAveragePool (sum)
  flat = Flatten (pooled)
  scores = Gemm <transB = 1> (flat, w2, b2)
}
"""
TWO_INPUTS = """
two (float[batch, 4] a, float[batch, 4] b) => (float[batch, 2] scores)
  <float[4, 4] w0, float[4, 2] w1>
{
  left = MatMul (a, w0)
  joined = Add (left, b)
  active = Relu (joined)
  scores = MatMul (active, w1)
}
"""


def cut_points(text: str, output: str = "scores") -> list[str]:
    model = ir.from_proto(parse(text))
    return [segment.end for segment in segments(model, [output])]


@pytest.mark.parametrize(
    ("text", "points"),
    [
        (DENSE, ["product", "hidden", "active", "scores"]),
        (CONVOLUTION, ["maps", "active", "pooled", "flat", "scores"]),
        (RESIDUAL, ["stem", "sum", "pooled", "flat", "scores"]),
        (TWO_INPUTS, ["joined", "active", "scores"]),
    ],
)
def test_cut_points_are_the_values_that_every_path_leads_through(
    text: str, points: list[str]
) -> None:
    assert cut_points(text) == points


def test_removing_a_cut_point_parts_input_and_output_and_no_other_value_does() -> None:
    model = ir.from_proto(parse(RESIDUAL))
    values = {value.name: value for node in model.graph for value in node.outputs}
    readers = {
        name: [out.name for use in value.uses() for out in use.node.outputs]
        for name, value in values.items()
    }
    readers["x"] = ["stem"]

    def reaches(without: str) -> bool:
        waiting, seen = ["x"], set()
        while waiting:
            name = waiting.pop()
            if name in seen or name == without:
                continue
            seen.add(name)
            waiting += [reader for reader in readers[name] if reader is not None]
        return "scores" in seen

    expected = {name for name in values if name is not None and not reaches(name)}
    assert set(cut_points(RESIDUAL)) == expected


def test_segments_share_out_all_nodes_that_depend_on_the_input() -> None:
    model = ir.from_proto(parse(RESIDUAL))
    found = segments(model, ["scores"])
    assert sum(len(segment.nodes) for segment in found) == len(list(model.graph))
    assert [one.start for one in found] == ["x", *[one.end for one in found[:-1]]]


def test_several_inputs_have_no_single_tensor_in_front() -> None:
    first, *others = segments(ir.from_proto(parse(TWO_INPUTS)), ["scores"])
    assert first.start is None
    assert all(segment.start is not None for segment in others)


def test_what_does_not_lead_to_the_output_is_no_obstacle() -> None:
    model = ir.from_proto(parse(RESIDUAL))
    assert [one.end for one in segments(model, ["active"])] == ["stem", "left", "active"]


def test_with_several_outputs_all_paths_to_all_of_them_count() -> None:
    model = ir.from_proto(parse(RESIDUAL))
    assert [one.end for one in segments(model, ["sum", "scores"])] == ["stem", "sum"]
    assert [one.end for one in segments(model, ["active", "scores"])] == ["stem"]


def test_an_output_that_no_input_leads_to_is_refused() -> None:
    model = ir.from_proto(parse(DENSE))
    with pytest.raises(KeyError):
        segments(model, ["nothing"])
    with pytest.raises(ValueError, match="no input"):
        segments(model, ["b0"])
