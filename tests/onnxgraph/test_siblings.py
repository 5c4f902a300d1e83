from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

from onnxgraph.load import load_model
from onnxgraph.normalise import normalise
from onnxgraph.parity import Runner, run_onnx
from onnxgraph.passes.lay_out_siblings import LayOutSiblings, uniform
from onnxgraph.serialise import from_trusted_bytes, to_bytes
from onnxgraph.siblings.alone import alone, as_file
from onnxgraph.siblings.find import Layout, find_siblings
from tests.helpers.graph_texts import parse

ONE_VALUE = """
three (float[batch, 3, 8, 8] image) => (float[batch, 12] scores)
  <float[4, 3, 3, 3] w0, float[4] b0, float[6, 3, 3, 3] w1, float[2, 3, 3, 3] w2, float[2] b2,
   float[12, 768] w3, float[12] b3>
{
  a = Conv <pads = [1, 1, 1, 1]> (image, w0, b0)
  ar = Relu (a)
  b = Conv <pads = [1, 1, 1, 1]> (image, w1)
  br = Relu (b)
  c = Conv <pads = [1, 1, 1, 1]> (image, w2, b2)
  cr = Relu (c)
  all = Concat <axis = 1> (ar, br, cr)
  flat = Flatten (all)
  scores = Gemm <transB = 1> (flat, w3, b3)
}
"""

BRANCHES = """
two (float[batch, 3, 8, 8] image) => (float[batch, 4] scores)
  <float[4, 3, 3, 3] w0, float[4] b0, float[6, 4, 3, 3] w1, float[6] b1, float[6, 6, 3, 3] w2,
   float[6, 1, 3, 3] w3, float[3, 96] w4, float[3] b4,
   float[4, 3, 3, 3] v0, float[4] c0, float[6, 4, 3, 3] v1, float[6, 6, 3, 3] v2, float[6] c2,
   float[6, 1, 3, 3] v3, float[3, 96] v4, float[4, 6] w5, float[4] b5>
{
  p0 = Conv <pads = [1, 1, 1, 1]> (image, w0, b0)
  p1 = Relu (p0)
  p2 = Conv <pads = [1, 1, 1, 1]> (p1, w1, b1)
  p3 = Relu (p2)
  p4 = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (p3)
  p5 = Conv <pads = [1, 1, 1, 1]> (p4, w2)
  p6 = Add (p5, p4)
  p7 = Conv <pads = [1, 1, 1, 1], group = 6> (p6, w3)
  p8 = Relu (p7)
  p9 = Flatten (p8)
  p10 = Gemm <transB = 1> (p9, w4, b4)
  q0 = Conv <pads = [1, 1, 1, 1]> (image, v0, c0)
  q1 = Relu (q0)
  q2 = Conv <pads = [1, 1, 1, 1]> (q1, v1)
  q3 = Relu (q2)
  q4 = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (q3)
  q5 = Conv <pads = [1, 1, 1, 1]> (q4, v2, c2)
  q6 = Add (q5, q4)
  q7 = Conv <pads = [1, 1, 1, 1], group = 6> (q6, v3)
  q8 = Relu (q7)
  q9 = Flatten (q8)
  q10 = Gemm <transB = 1> (q9, v4)
  both = Concat <axis = 1> (p10, q10)
  scores = Gemm <transB = 1> (both, w5, b5)
}
"""

PRODUCTS = """
products (float[batch, 5, 4] tokens) => (float[batch, 5, 6] scores)
  <float[4, 3] w0, float[4, 3] w1, float[3, 3] w2, float[3, 3] w3>
{
  a = MatMul (tokens, w0)
  b = MatMul (tokens, w1)
  c = Tanh (a)
  d = Tanh (b)
  e = MatMul (c, w2)
  f = MatMul (d, w3)
  scores = Concat <axis = 2> (e, f)
}
"""


def _laid_out(text: str, layout: Layout) -> tuple[bytes, bytes, list[str]]:
    before = to_bytes(normalise(load_model(parse(text).SerializeToString())))
    model = from_trusted_bytes(before)
    LayOutSiblings(uniform(layout))(model)
    return before, to_bytes(model), [node.op_type for node in model.graph]


def _same(before: bytes, after: bytes) -> bool:
    runner = Runner(before)
    shape = (5, 5, 4) if runner.inputs == ("tokens",) else (5, 3, 8, 8)
    given = {runner.inputs[0]: np.random.default_rng(0).standard_normal(shape).astype(np.float32)}
    a, b = (run_onnx(graph, given)["scores"].astype(np.float64) for graph in (before, after))
    return bool(np.abs(a - b).max() <= 1e-5 * max(1.0, np.abs(a).max()))


def test_convolutions_of_one_picture_become_one_with_its_rectifier() -> None:
    before, after, nodes = _laid_out(ONE_VALUE, Layout.STACKED)
    assert nodes == ["Conv", "Relu", "Flatten", "Gemm"]
    assert _same(before, after)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("b = Conv <pads = [1, 1, 1, 1]>", "b = Conv <pads = [1, 1, 1, 1], strides = [1, 1]>"),
        ("br = Relu (b)", "br = Tanh (b)"),
        ("all = Concat <axis = 1> (ar, br, cr)", "all = Concat <axis = 1> (ar, b, cr)"),
    ],
)
def test_only_what_is_alike_is_taken_together(old: str, new: str) -> None:
    before, after, nodes = _laid_out(ONE_VALUE.replace(old, new), Layout.STACKED)
    assert nodes.count("Conv") == 2
    assert _same(before, after)


def test_branches_of_equal_shape_become_one_of_grouped_convolutions() -> None:
    before, after, nodes = _laid_out(BRANCHES, Layout.GROUPED)
    assert nodes.count("Conv") == 4
    assert nodes.count("MaxPool") == nodes.count("Add") == 1
    assert "Split" not in nodes[: nodes.index("Flatten")]
    assert _same(before, after)


def test_branches_of_equal_shape_become_one_of_block_diagonal_layers() -> None:
    before, after, nodes = _laid_out(BRANCHES, Layout.BLOCK_DIAGONAL)
    assert nodes.count("Gemm") == 2
    # The depthwise ones have groups, and stay apart.
    assert nodes.count("Conv") == 5
    assert _same(before, after)


@pytest.mark.parametrize("layout", Layout)
def test_no_layout_moves_a_product_of_matrices(layout: Layout) -> None:
    before, after, nodes = _laid_out(PRODUCTS, layout)
    assert nodes.count("MatMul") == (2 if layout is Layout.BLOCK_DIAGONAL else 4)
    assert _same(before, after)


def test_layers_behind_each_other_are_no_siblings() -> None:
    behind = PRODUCTS.replace("b = MatMul (tokens, w1)", "b = MatMul (a, w3)").replace(
        "float[4, 3] w1, ", ""
    )
    model = normalise(load_model(parse(behind).SerializeToString()))
    groups = [{node.outputs[0].name for node in one.members} for one in find_siblings(model)]
    assert all(not {"a", "b"} <= group for group in groups)


@pytest.mark.parametrize("layout", Layout)
def test_what_is_laid_out_is_laid_out(layout: Layout) -> None:
    _, after, _ = _laid_out(BRANCHES, layout)
    model = from_trusted_bytes(after)
    assert not LayOutSiblings(uniform(layout))(model).modified


@pytest.mark.parametrize("text", [ONE_VALUE, BRANCHES])
def test_siblings_alone_compute_what_they_compute_joined(text: str) -> None:
    model = normalise(load_model(parse(text).SerializeToString()))
    for siblings in find_siblings(model):
        apart, *joined = [
            (alone(siblings, layout), layout is Layout.STACKED) for layout in siblings.layouts
        ]
        given = _given(apart[0])
        expected = np.concatenate(list(Runner(as_file(apart[0])).run(given).values()), axis=1)
        for one, is_stacked in joined:
            whole = (
                next(iter(given.values())) if is_stacked else np.concatenate([*given.values()], 1)
            )
            (name,) = (str(value.name) for value in one.graph.inputs)
            found = np.concatenate([*Runner(as_file(one)).run({name: whole}).values()], axis=1)
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def _given(model: ir.Model) -> dict[str, NDArray[np.float32]]:
    """A batch for each input of a graph."""
    generator = np.random.default_rng(0)
    return {
        str(value.name): generator.standard_normal(
            [2, *(int(str(size)) for size in list(value.shape or ())[1:])]
        ).astype(np.float32)
        for value in model.graph.inputs
    }
