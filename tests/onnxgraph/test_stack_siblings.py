from __future__ import annotations

import numpy as np
import pytest

from onnxgraph.load import load_model
from onnxgraph.normalise import normalise
from onnxgraph.parity import run_onnx
from onnxgraph.passes.stack_siblings import StackSiblings
from onnxgraph.serialise import to_bytes
from tests.helpers.graph_texts import parse

THREE = """
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


def _stacked(text: str) -> tuple[bytes, bytes, list[str]]:
    model = normalise(load_model(parse(text).SerializeToString()))
    before = to_bytes(model)
    StackSiblings()(model)
    return before, to_bytes(model), [node.op_type for node in model.graph]


def _same(before: bytes, after: bytes) -> bool:
    images = np.random.default_rng(0).standard_normal((5, 3, 8, 8)).astype(np.float32)
    a, b = (run_onnx(graph, {"image": images})["scores"] for graph in (before, after))
    return bool(np.abs(a.astype(np.float64) - b.astype(np.float64)).max() < 1e-5)


def test_convolutions_of_one_picture_become_one_with_its_rectifier() -> None:
    before, after, nodes = _stacked(THREE)
    assert nodes.count("Conv") == nodes.count("Relu") == nodes.count("Split") == 1
    assert _same(before, after)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("b = Conv <pads = [1, 1, 1, 1]>", "b = Conv <pads = [1, 1, 1, 1], strides = [1, 1]>"),
        ("br = Relu (b)", "br = Tanh (b)"),
    ],
)
def test_only_what_is_alike_is_taken_together(old: str, new: str) -> None:
    before, after, nodes = _stacked(THREE.replace(old, new))
    assert nodes.count("Conv") == 2
    assert _same(before, after)


def test_what_is_not_rectified_stays_apart_from_what_is() -> None:
    text = THREE.replace(
        "all = Concat <axis = 1> (ar, br, cr)", "all = Concat <axis = 1> (a, br, cr)"
    )
    before, after, nodes = _stacked(text)
    assert nodes.count("Conv") == 2
    assert _same(before, after)


def test_nothing_is_left_to_stack() -> None:
    model = normalise(load_model(parse(THREE).SerializeToString()))
    StackSiblings()(model)
    assert not StackSiblings()(model).modified
