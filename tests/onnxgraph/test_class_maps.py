"""Fully convolutional classifiers: class maps that are averaged over positions."""

import numpy as np
import onnx_ir as ir
import pytest

from onnxgraph.classifier import as_fragment, find_classifier
from onnxgraph.errors import GraphError, GraphReason
from onnxgraph.groups import unit_groups
from onnxgraph.load import load_model
from onnxgraph.normalise import normalise
from onnxgraph.parity import compare, run_onnx
from onnxgraph.serialise import to_bytes
from tests.helpers.text_graphs import text_graph

POOLS = {
    "global": "p = GlobalAveragePool (c)\ny = Flatten (p)",
    "window": "p = AveragePool <kernel_shape = [4, 5]> (c)\ny = Flatten (p)",
    "mean": "y = ReduceMean <axes = [2, 3], keepdims = 0> (c)",
    "kept": "p = ReduceMean <axes = [-1, -2]> (c)\ny = Squeeze (p, axes)",
}


def _class_maps(tail: str, conv: str = "", kernel: int = 1) -> ir.Model:
    return text_graph(
        "float[N, 3, 4, 5] x => float[N, 4] y",
        f"""
        h = Conv (x, w)
        r = Relu (h)
        c = Conv {conv} (r, v, b)
        {tail}
        """,
        w=(6, 3, 1, 1),
        v=(4, 6, kernel, kernel),
        b=(4,),
        axes=np.array([2, 3]),
    )


def _normal(model: ir.Model) -> ir.Model:
    return normalise(load_model(ir.to_proto(model).SerializeToString()))


@pytest.mark.parametrize("tail", POOLS.values(), ids=POOLS)
def test_an_average_of_class_maps_is_a_classifier_of_averages(tail: str) -> None:
    model = _class_maps(tail)
    normal = _normal(model)
    operators = [node.op_type for node in normal.graph]
    assert operators[:4] == ["Conv", "Relu", "GlobalAveragePool", "Conv"]
    found = find_classifier(normal)
    assert (found.node, found.feature_width, found.classes) == ("c", 6, 4)
    fragment = as_fragment(normal, found)
    assert [group.units for group in unit_groups(fragment)[0]] == [6]
    x = {"x": np.random.default_rng(0).normal(size=(3, 3, 4, 5)).astype(np.float32)}
    scores = run_onnx(to_bytes(fragment), x)["scores"]
    wanted = run_onnx(ir.to_proto(model).SerializeToString(), x)["y"]
    assert compare(scores, wanted, atol=0, rtol=1e-5).passed


@pytest.mark.parametrize(
    ("conv", "kernel"),
    [("<pads = [1, 1, 1, 1]>", 1), ("<strides = [2, 2]>", 1), ("<pads = [1, 1, 1, 1]>", 3)],
)
def test_class_maps_of_a_conv_that_is_not_pointwise_stay(conv: str, kernel: int) -> None:
    normal = _normal(_class_maps(POOLS["global"], conv, kernel))
    assert [n.op_type for n in normal.graph][2:4] == ["Conv", "GlobalAveragePool"]


def test_activated_class_maps_are_refused_with_a_way_out() -> None:
    normal = _normal(_class_maps("a = Relu (c)\np = GlobalAveragePool (a)\ny = Flatten (p)"))
    with pytest.raises(GraphError) as caught:
        find_classifier(normal)
    error = caught.value
    assert (error.reason, error.node) == (GraphReason.GRAPH_NO_LINEAR_CLASSIFIER, "p")
    assert "'y' comes from GlobalAveragePool 'p'" in error.message
    assert "identity as its weight" in error.advice
