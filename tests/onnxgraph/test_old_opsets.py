"""Graphs as exporters wrote them at opset 9: what was an attribute then is an input now."""

from typing import Any

import numpy as np
import pytest
import torch

from onnxgraph.groups import unit_groups
from onnxgraph.load import load_model
from onnxgraph.normalise import normalise
from onnxgraph.parity import compare, run_onnx
from onnxgraph.passes.raise_opset import WORKING_OPSET
from onnxgraph.serialise import to_bytes
from onnxgraph.view import TorchView
from tests.helpers.graph_texts import parse, with_arrays

_TWICE = np.array([1, 1, 2, 2], np.float32)

OLD: dict[str, tuple[str, int, list[str]]] = {
    "dropout": ("z = Dropout <ratio = 0.5> (c)", 384, []),
    "clip": ("z = Clip <min = 0.0, max = 6.0> (c)", 384, ["Clip"]),
    "clip from above": ("z = Clip <max = 0.5> (c)", 384, ["Clip"]),
    "pad": ("z = Pad <pads = [0, 0, 1, 1, 0, 0, 1, 1], value = 0.5> (c)", 600, ["Pad"]),
    "reflect": ('z = Pad <mode = "reflect", pads = [0,0,1,1,0,0,1,1]> (c)', 600, ["Pad"]),
    "slice": ("z = Slice <axes = [2, 3], starts = [1, 1], ends = [7, 99]> (c)", 252, ["Slice"]),
    "units": ("z = Slice <axes = [1], starts = [1], ends = [5]> (c)", 256, ["Slice"]),
    "squeeze": (
        "p = GlobalAveragePool (c) z = Squeeze <axes = [2, 3]> (p)",
        6,
        ["GlobalAveragePool", "Squeeze"],
    ),
    "mean": ("z = ReduceMean <axes = [2, 3], keepdims = 0> (c)", 6, ["ReduceMean"]),
    "split": (
        "l, r = Split <axis = 1, split = [2, 4]> (c) z = Concat <axis = 1> (r, l)",
        384,
        ["Slice", "Slice", "Concat"],
    ),
    "normaliser": ("z = BatchNormalization <epsilon = 0.01> (c, one, one, one, one)", 384, []),
    "nearest": ('z = Upsample <mode = "nearest"> (c, twice)', 1536, ["Resize"]),
    "linear": ('z = Upsample <mode = "linear"> (c, twice)', 1536, ["Resize"]),
    "prelu": ("z = PRelu (c, slope)", 384, ["PRelu"]),
    "sum": ("q = Relu (c) z = Sum (c, q)", 384, ["Relu", "Sum"]),
    "softmax of all": ("z = Softmax (c)", 384, ["Flatten", "Softmax", "Reshape"]),
}


def _submitted(body: str, features: int, opset: int) -> bytes:
    text = f"""
        g (float[batch, 3, 8, 8] x) => (float[batch, 4] y)
          <float[6, 3, 3, 3] w, float[6] one, float[6, 1, 1] slope, float[4] twice,
           float[{features}, 4] v, float[4] b>
        {{ c = Conv <pads = [1, 1, 1, 1]> (x, w) {body} f = Flatten (z) y = Gemm (f, v, b) }}
    """
    values: dict[str, Any] = {"one": np.arange(1, 7, dtype=np.float32), "twice": _TWICE}
    model = with_arrays(parse(text, opset=opset, ir_version=4 if opset < 11 else 8), values)
    used = {name for node in model.graph.node for name in node.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    return model.SerializeToString()


def _check(data: bytes, operators: list[str], units: bool) -> None:
    model = normalise(load_model(data))
    assert model.graph.opset_imports == {"": WORKING_OPSET}
    assert [node.op_type for node in model.graph] == ["Conv", *operators, "Flatten", "Gemm"]
    x = np.random.default_rng(1).normal(size=(3, 3, 8, 8)).astype(np.float32)
    wanted = run_onnx(data, {"x": x})["y"]
    assert compare(run_onnx(to_bytes(model), {"x": x})["y"], wanted, atol=0, rtol=1e-5).passed
    with torch.no_grad():
        seen = TorchView(model)(torch.from_numpy(x))[0].numpy()
    assert compare(seen, wanted, atol=0, rtol=1e-4).passed
    assert bool(unit_groups(model)[0]) == units


@pytest.mark.parametrize(("body", "features", "operators"), OLD.values(), ids=OLD)
def test_a_graph_of_opset_9_is_raised_with_its_numbers(
    body: str, features: int, operators: list[str]
) -> None:
    _check(_submitted(body, features, 9), operators, units="Softmax" not in operators)


@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_a_resize_of_opset_10_keeps_its_coordinates(mode: str) -> None:
    body = f'z = Resize <mode = "{mode}"> (c, twice)'
    _check(_submitted(body, 1536, 10), ["Resize"], units=True)


@pytest.mark.parametrize("opset", [21, 22, 23])
def test_the_newest_opsets_are_read(opset: int) -> None:
    body = "r = Relu (c) z = GlobalAveragePool (r)"
    _check(_submitted(body, 6, opset), ["Relu", "GlobalAveragePool"], units=True)


@pytest.mark.parametrize(
    ("attributes", "why"),
    [
        ('mode = "linear", antialias = 1', "filters against aliasing"),
        ('keep_aspect_ratio_policy = "not_larger"', "keeps the aspect ratio"),
    ],
)
def test_a_resize_that_no_row_covers_is_refused_by_name(attributes: str, why: str) -> None:
    body = f"s = Constant <value_ints = [9, 9]> () z = Resize <axes = [2, 3], {attributes}> (c,,,s)"
    with pytest.raises(Exception, match=rf"'z' has the operator Resize, which {why}"):
        normalise(load_model(_submitted(body, 486, 20)))


def test_a_resize_to_the_size_of_another_value_needs_no_size_of_the_batch() -> None:
    body = """
        p = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (c)
        s = Shape (c)
        z = Resize <mode = "linear"> (p,,,s)
    """
    _check(_submitted(body, 384, 17), ["MaxPool", "Resize"], units=True)
