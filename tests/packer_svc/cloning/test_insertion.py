"""A part of another architecture put into a target whose maps are larger than its own."""

from __future__ import annotations

import numpy as np
import onnx
import torch

from onnxgraph.classifier import as_fragment, find_classifier
from onnxgraph.halves import INPUT, behind, in_front
from onnxgraph.parity import Runner
from onnxgraph.serialise import from_trusted_bytes, to_bytes
from packer_svc.cloning.insertion import inserted
from packer_svc.cloning.positions import splices
from packer_svc.cloning.taps import tapped
from packer_svc.fusion.stitches import Goal, Stitch, fit_quickly

NETWORK = """
<ir_version: 8, opset_import: ["" : 17]>
network (float[batch, 3, 8, 8] x) => (float[batch, 2] scores)
<float[{units}, 3, 3, 3] w0, float[{units}, {units}, 3, 3] w1, float[{units}, 2] w2>
{{
  a = Conv <pads: ints = [1, 1, 1, 1], strides: ints = [{stride}, {stride}]> (x, w0)
  b = Relu (a)
  c = Conv <pads: ints = [1, 1, 1, 1]> (b, w1)
  d = Relu (c)
  e = GlobalAveragePool (d)
  f = Flatten (e)
  scores = MatMul (f, w2)
}}
"""


def network(units: int, stride: int, seed: int) -> bytes:
    """A network of random weights as a fragment."""
    proto = onnx.parser.parse_model(NETWORK.format(units=units, stride=stride))
    random = np.random.default_rng(seed)
    shapes = {"w0": (units, 3, 3, 3), "w1": (units, units, 3, 3), "w2": (units, 2)}
    for name, shape in shapes.items():
        array = random.normal(size=shape).astype(np.float32)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    for place, node in enumerate(proto.graph.node):
        node.name = f"{node.op_type}_{place}"
    model = from_trusted_bytes(proto.SerializeToString())
    return to_bytes(as_fragment(model, find_classifier(model)))


def test_a_part_with_smaller_maps_is_reached_through_a_resize() -> None:
    target, part = network(4, 1, seed=0), network(6, 2, seed=1)
    models = from_trusted_bytes(target), from_trusted_bytes(part)
    splice = splices(*models)[-1]
    assert (splice.target.shape, splice.part.shape) == ((4, 8, 8), (6, 4, 4))
    random = np.random.default_rng(2)
    x = random.normal(size=(5, 3, 8, 8)).astype(np.float32)
    shapes = splice.target.shape, splice.part.shape
    adapter = Stitch(*shapes, random.normal(size=(6, 4)), random.normal(size=6), rectified=True)

    branch = Runner(inserted(*models, splice, adapter)).run({"x": x})

    left = Runner(to_bytes(in_front(models[0], splice.target))).run({"x": x})
    fed = adapter(torch.from_numpy(left[splice.target.value].astype(np.float32))).numpy()
    expected = Runner(to_bytes(behind(models[1], splice.part))).run({INPUT: fed})
    for name in ("features", "scores"):
        found = branch[name].astype(np.float64)
        np.testing.assert_allclose(found, expected[name].astype(np.float64), rtol=1e-4, atol=1e-4)
    assert (to_bytes(models[0]), to_bytes(models[1])) == (target, part)


def test_features_alone_are_adapted_by_a_dense_layer() -> None:
    models = from_trusted_bytes(network(4, 1, seed=0)), from_trusted_bytes(network(6, 2, seed=1))
    splice = splices(*models)[0]
    assert (splice.target.shape, splice.part.shape) == ((4,), (6,))
    x = np.random.default_rng(2).normal(size=(9, 3, 8, 8)).astype(np.float32)
    read = Runner(to_bytes(in_front(models[0], splice.target))).run({"x": x})["features"]
    wanted = Runner(to_bytes(in_front(models[1], splice.part))).run({"x": x})["features"]
    shown, made = (torch.from_numpy(one.astype(np.float32)) for one in (read, wanted))
    adapter = fit_quickly(shown, Goal.of(made))

    branch = Runner(inserted(*models, splice, adapter)).run({"x": x})
    found = branch["features"].astype(np.float64)
    np.testing.assert_allclose(found, adapter(shown), atol=1e-4)


def test_taps_follow_the_features_and_leave_the_scores_as_they_are() -> None:
    graph = network(4, 1, seed=0)
    x = np.random.default_rng(2).normal(size=(3, 3, 8, 8)).astype(np.float32)
    before, after = Runner(graph).run({"x": x}), Runner(tapped(graph)).run({"x": x})

    assert after["features"].shape == (3, 8)
    np.testing.assert_array_equal(after["features"][:, :4], before["features"])
    np.testing.assert_array_equal(after["scores"], before["scores"])
    model = from_trusted_bytes(graph)
    point = splices(model, model)[-1].target
    maps = Runner(to_bytes(in_front(model, point))).run({"x": x})[point.value].astype(np.float64)
    means = after["features"][:, 4:].astype(np.float64)
    np.testing.assert_allclose(means, maps.mean(axis=(2, 3)), rtol=1e-4)
