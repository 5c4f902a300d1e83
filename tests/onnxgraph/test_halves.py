"""Places at which a graph hangs by one tensor, and its halves there."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from onnxgraph.classifier import as_fragment, find_classifier
from onnxgraph.cuts import cut_points
from onnxgraph.halves import INPUT, behind, in_front
from onnxgraph.parity import Runner
from onnxgraph.serialise import from_trusted_bytes, to_bytes

RESIDUAL = """
<ir_version: 8, opset_import: ["" : 17]>
residual (float[batch, 3, 8, 8] x) => (float[batch, 2] scores)
<float[4, 3, 3, 3] w0, float[4, 4, 3, 3] w1, float[4, 4, 3, 3] w2, float[4, 2] w3>
{
  a = Conv <pads: ints = [1, 1, 1, 1]> (x, w0)
  b = Relu (a)
  c = Conv <pads: ints = [1, 1, 1, 1]> (b, w1)
  d = Relu (c)
  e = Conv <pads: ints = [1, 1, 1, 1]> (d, w2)
  f = Add (e, b)
  g = Relu (f)
  h = GlobalAveragePool (g)
  i = Flatten (h)
  scores = MatMul (i, w3)
}
"""


@pytest.fixture
def fragment() -> bytes:
    """A residual block as a fragment."""
    proto = onnx.parser.parse_model(RESIDUAL)
    random = np.random.default_rng(0)
    shapes = {"w0": (4, 3, 3, 3), "w1": (4, 4, 3, 3), "w2": (4, 4, 3, 3), "w3": (4, 2)}
    for name, shape in shapes.items():
        array = random.normal(size=shape).astype(np.float32)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    for place, node in enumerate(proto.graph.node):
        node.name = f"{node.op_type}_{place}"
    model = from_trusted_bytes(proto.SerializeToString())
    return to_bytes(as_fragment(model, find_classifier(model)))


def test_a_graph_is_cut_around_a_residual_block_and_never_within_it(fragment: bytes) -> None:
    points = cut_points(from_trusted_bytes(fragment))

    assert [point.value for point in points] == ["b", "features"]
    assert [point.shape for point in points] == [(4, 8, 8), (4,)]
    assert 0 < points[0].depth < points[1].depth <= 1


@pytest.mark.parametrize("place", [0, 1])
def test_what_stands_in_front_of_a_cut_and_behind_it_make_the_whole(
    fragment: bytes, place: int
) -> None:
    model = from_trusted_bytes(fragment)
    point = cut_points(model)[place]
    x = np.random.default_rng(1).normal(size=(5, 3, 8, 8)).astype(np.float32)

    middle = Runner(to_bytes(in_front(model, point))).run({"x": x})[point.value]
    parts = Runner(to_bytes(behind(model, point))).run({INPUT: middle})
    whole = Runner(fragment).run({"x": x})
    for name in ("features", "scores"):
        expected = whole[name].astype(np.float64)
        np.testing.assert_allclose(parts[name].astype(np.float64), expected, rtol=1e-5, atol=1e-5)


def test_cutting_leaves_the_graph_as_it_is(fragment: bytes) -> None:
    model = from_trusted_bytes(fragment)
    for point in cut_points(model):
        in_front(model, point)
        behind(model, point)
    assert to_bytes(model) == fragment
