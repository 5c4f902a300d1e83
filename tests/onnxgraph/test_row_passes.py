"""Passes that leave the batch to its own axis: Gemms on merged rows, Expands with the batch."""

from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

from onnxgraph.groups import unit_groups
from onnxgraph.normalise import normalise
from onnxgraph.parity import run_onnx
from onnxgraph.serialise import to_bytes
from tests.helpers.text_graphs import text_graph

_STEPS_FIRST = """
    s = Transpose <perm = [1, 0, 2]> (x)
    r = Reshape (s, rows)
    g = Gemm <transB = 1> (r, w{bias})
    p = Reshape (g, parts)
    a = Relu (p)
    m = ReduceMean <axes = [0], keepdims = 0> (a)
    y = MatMul (m, v)
"""


def _same(model: ir.Model, normal: ir.Model, shape: tuple[int, ...]) -> None:
    for batch in (1, 4):
        x = np.random.default_rng(batch).normal(size=(batch, *shape)).astype(np.float32)
        (found,) = run_onnx(to_bytes(normal), {"x": x}).values()
        (expected,) = run_onnx(to_bytes(model), {"x": x}).values()
        assert np.allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("bias", ["", ", b"])
def test_a_dense_layer_on_merged_rows_reads_samples_along_an_axis_of_their_own(bias: str) -> None:
    constants: dict[str, Any] = {"b": (7,)} if bias else {}
    model = text_graph(
        "float[N, 5, 6] x => float[N, 2] y",
        _STEPS_FIRST.replace("{bias}", bias),
        rows=np.array([-1, 6]),
        parts=np.array([5, -1, 7]),
        w=(7, 6),
        v=(7, 2),
        **constants,
    )
    normal = normalise(model)
    _same(model, normal, (5, 6))
    assert "Gemm" not in {node.op_type for node in normal.graph}
    (group,) = unit_groups(normal)[0]
    assert (group.id, group.units) == ("g", 7)
    assert (group.sample_axis, group.unit_axis) == (1, 2)


def test_a_dense_layer_whose_rows_are_read_as_they_are_stays() -> None:
    model = text_graph(
        "float[N, 5, 6] x => float[N, 2] y",
        """
        r = Flatten (x)
        g = Gemm (r, w)
        a = Relu (g)
        y = Gemm (a, v)
        """,
        w=(30, 4),
        v=(4, 2),
    )
    assert [node.op_type for node in normalise(model).graph].count("Gemm") == 2


def test_an_expand_leaves_the_batch_to_its_data() -> None:
    model = text_graph(
        "float[N, 5, 6] x => float[N, 2] y",
        """
        h = MatMul (x, w)
        u = Unsqueeze (h, two)
        n = Shape <end = 1> (x)
        t = Concat <axis = 0> (n, rest)
        e = Expand (u, t)
        r = Reshape (e, merged)
        a = Relu (r)
        m = ReduceMean <axes = [1], keepdims = 0> (a)
        y = MatMul (m, v)
        """,
        w=(6, 4),
        two=np.array([2]),
        rest=np.array([5, 3, 4]),
        merged=np.array([-1, 5, 12]),
        v=(12, 2),
    )
    normal = normalise(model)
    _same(model, normal, (5, 6))
    (target,) = [node.inputs[1] for node in normal.graph if node.op_type == "Expand"]
    assert target is not None
    assert target.const_value is not None
    assert target.const_value.numpy().tolist() == [1, 1, 3, 1]
    (group,) = unit_groups(normal)[0]
    assert (group.units, group.consumers[0].block) == (4, 3)
