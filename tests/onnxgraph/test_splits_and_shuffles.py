"""Splits become Slices, channel shuffles become Gathers, and both follow any choice of units."""

from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

from onnxgraph.groups import unit_groups
from onnxgraph.load import load_model
from onnxgraph.normalise import normalise
from onnxgraph.parity import compare, run_onnx
from onnxgraph.serialise import to_bytes
from onnxgraph.surgery import cut_all
from tests.helpers.text_graphs import text_graph
from tests.helpers.unit_copies import copied_units


def _normal(model: ir.Model) -> ir.Model:
    """The normal form, compared with the graph by `normalise` itself."""
    return normalise(load_model(ir.to_proto(model).SerializeToString()))


def _operators(model: ir.Model) -> list[str]:
    return [node.op_type for node in model.graph]


def _check_cuts(model: ir.Model, *sample: int) -> None:
    """Units that are copies of kept ones are not missed."""
    for seed in range(8):
        random = np.random.default_rng(seed)
        whole = model.clone()
        cuts = [copied_units(whole, group, random) for group in unit_groups(whole)[0]]
        x = {"x": random.normal(size=(3, *sample)).astype(np.float32)}
        (expected,) = run_onnx(to_bytes(whole), x).values()
        (found,) = run_onnx(to_bytes(cut_all(whole, cuts)), x).values()
        assert compare(found, expected, atol=1e-6, rtol=1e-4).passed


SPLITS = {
    "sizes": ("a, b, c = Split <axis = -1> (h, sizes)", 17, {"sizes": np.array([2, 5, 3])}),
    "equal": ("a, b = Split <axis = 1> (h)", 17, {}),
    "uneven": ("a, b, c = Split <axis = 1, num_outputs = 3> (h)", 20, {}),
}


@pytest.mark.parametrize(("split", "opset", "sizes"), SPLITS.values(), ids=SPLITS)
def test_parts_of_a_split_are_cut_one_without_the_others(
    split: str, opset: int, sizes: dict[str, Any]
) -> None:
    parts = split.split(" = ")[0]
    first, second = parts.split(", ")[0], parts.split(", ")[1]
    model = text_graph(
        "float[N, 4] x => float[N, 2] y",
        f"""
        h = MatMul (x, w)
        {split}
        r = Relu ({first})
        j = Concat <axis = 1> ({second}, r)
        y = MatMul (j, v)
        """,
        opset=opset,
        w=(4, 10),
        v=(10 if parts == "a, b" else 8 if opset == 20 else 7, 2),
        **sizes,
    )
    normal = _normal(model)
    assert _operators(normal) == ["MatMul", "Slice", "Slice", "Relu", "Concat", "MatMul"]
    groups, _ = unit_groups(normal)
    assert len(groups) == 2 if parts == "a, b" else 3  # what nobody reads is whole
    _check_cuts(normal, 4)


def _shuffled(order: str, parts: list[int], joined: list[int], tail: str) -> ir.Model:
    return text_graph(
        "float[N, 3, 4, 4] x => float[N, 2] y",
        f"""
        c = Conv (x, w)
        {tail}
        o = Reshape (t, parts)
        p = Transpose <perm = {order}> (o)
        s = Reshape (p, joined)
        f = Flatten (s)
        y = MatMul (f, v)
        """,
        w=(6, 3, 1, 1),
        parts=np.array(parts),
        joined=np.array(joined),
        v=(96, 2),
    )


def test_a_channel_shuffle_is_a_gather_whose_units_are_free() -> None:
    model = _shuffled("[0, 2, 1, 3, 4]", [-1, 2, 3, 4, 4], [-1, 6, 4, 4], "t = Relu (c)")
    normal = _normal(model)
    assert _operators(normal) == ["Conv", "Relu", "Gather", "Flatten", "MatMul"]
    order = normal.graph.node(2).inputs[1]
    assert order is not None
    assert order.const_value is not None
    assert order.const_value.numpy().tolist() == [0, 3, 1, 4, 2, 5]
    (group,) = unit_groups(normal)[0]
    assert group.units == 6
    _check_cuts(normal, 3, 4, 4)


def test_a_shuffle_of_channels_that_stand_last_is_a_gather_too() -> None:
    turned = "t = Transpose <perm = [0, 2, 3, 1]> (c)"
    model = _shuffled("[0, 1, 2, 4, 3]", [-1, 4, 4, 3, 2], [0, 4, 4, 6], turned)
    normal = _normal(model)
    assert _operators(normal) == ["Conv", "Transpose", "Gather", "Flatten", "MatMul"]
    _check_cuts(normal, 3, 4, 4)


@pytest.mark.parametrize(
    ("order", "joined"),
    [("[0, 2, 1, 4, 3]", [-1, 6, 4, 4]), ("[0, 2, 1, 3, 4]", [-1, 3, 8, 4])],
    ids=["positions are turned", "another shape comes out"],
)
def test_what_does_more_than_reorder_one_axis_stays(order: str, joined: list[int]) -> None:
    model = _shuffled(order, [-1, 2, 3, 4, 4], joined, "t = Relu (c)")
    normal = _normal(model)
    assert "Gather" not in _operators(normal)
    _check_cuts(normal, 3, 4, 4)


def test_a_shuffle_whose_inner_value_is_read_elsewhere_stays() -> None:
    model = text_graph(
        "float[N, 6, 4] x => float[N, 2] y",
        """
        o = Reshape (x, parts)
        p = Transpose <perm = [0, 2, 1, 3]> (o)
        s = Reshape (p, joined)
        f = Flatten (s)
        g = Flatten (p)
        j = Concat <axis = 1> (f, g)
        y = MatMul (j, v)
        """,
        parts=np.array([-1, 2, 3, 4]),
        joined=np.array([-1, 6, 4]),
        v=(48, 2),
    )
    assert "Gather" not in _operators(_normal(model))
