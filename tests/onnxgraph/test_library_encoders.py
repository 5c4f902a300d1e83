"""Heads are found in what public encoders put around them: masks, rotations, dense layers."""

import numpy as np
import pytest

from onnxgraph.groups import unit_groups
from onnxgraph.load import load_model
from onnxgraph.normalise import normalise
from onnxgraph.parity import compare, run_onnx
from onnxgraph.serialise import to_bytes
from onnxgraph.surgery import cut_all
from tests.helpers.graph_texts import parse
from tests.helpers.unit_copies import copied_units

_MASKED = """
    size = Shape <start = 0, end = 1> (x)
    target = Concat <axis = 0> (size, fixed)
    seen = Greater (mask, zero)
    every = Expand (seen, target)
    bias = Where (every, zero, low)
    q1 = Identity (q0)
    s = Add (s0, bias)
"""
_ROTATED = """
    first = Slice (q0, start, half, last)
    second = Slice (q0, half, end, last)
    turned = Neg (second)
    half_turn = Concat <axis = 3> (turned, first)
    qs = Mul (half_turn, sines)
    qc = Mul (q0, cosines)
    q1 = Add (qc, qs)
    s = Identity (s0)
"""
_SHARED = "q1 = MatMul (q0, shared) s = Identity (s0)"
_SCATTERED = """
    held = GatherElements <axis = 1> (columns, picks)
    filled = ScatterND (held, place, update)
    q1 = Identity (q0)
    s = Add (s0, filled)
"""
_PARTS = {"mask": _MASKED, "rotation": _ROTATED, "dense": _SHARED, "scatter": _SCATTERED}


def _encoder(part: str) -> bytes:
    """One layer of two heads; `q1` is computed in front of the scores, `s` behind them."""
    before, _, after = part.rpartition(" s = ")
    return _layer(
        """float[4, 4] shared, float[4, 4] sines, float[4, 4] cosines, float[1, 1, 4, 4] mask,
           float zero = {0}, float low = {-9}, int64[1] start = {0}, int64[1] half = {2},
           int64[1] end = {4}, int64[1] last = {3}, float[1, 4] columns,
           int64[1, 4] picks = {3, 1, 0, 0}, int64[1, 2] place = {0, 2}, float[1] update""",
        f"""kt = Transpose <perm = [0, 2, 3, 1]> (kp)
          {before}
          s0 = MatMul (q1, kt)
          s = {after}
          p = Softmax <axis = -1> (s)
          a = MatMul (p, vt)""",
        opset=18,
    )


def _fused_encoder() -> bytes:
    """Such a layer as one operator, with a mask that is repeated for each sample."""
    return _layer(
        "float[1, 1, 4, 1] places",
        """kt = Transpose <perm = [0, 2, 1, 3]> (kp)
          size = Shape <start = 0, end = 1> (x)
          target = Concat <axis = 0> (size, fixed)
          mask = Expand (places, target)
          a = Attention (q0, kt, vt, mask)""",
        opset=23,
    )


def _layer(weights: str, attention: str, opset: int) -> bytes:
    """A layer of two heads.

    Args:
        weights: Initializers that the attention reads besides the projections.
        attention: From queries `q0`, keys `kp` (heads not yet in front) and values `vt` to `a`.
        opset: The opset.
    """
    text = f"""
        g (float[batch, 4, 6] x) => (float[batch, 3] scores)
          <float[6, 8] wq, float[6, 8] wk, float[6, 8] wv, float[8, 5] wo, float[5, 3] v0,
           int64[3] fixed = {{1, 4, 4}}, int64[4] parted = {{0, 4, 2, 4}},
           int64[3] merged = {{0, 4, 8}}, int64[1] steps = {{1}}, {weights}>
        {{
          q = MatMul (x, wq) qp = Reshape (q, parted) q0 = Transpose <perm = [0, 2, 1, 3]> (qp)
          k = MatMul (x, wk) kp = Reshape (k, parted)
          v = MatMul (x, wv) vp = Reshape (v, parted) vt = Transpose <perm = [0, 2, 1, 3]> (vp)
          {attention}
          at = Transpose <perm = [0, 2, 1, 3]> (a)
          m = Reshape (at, merged)
          o = MatMul (m, wo)
          r = Relu (o)
          f = ReduceMean <keepdims = 0> (r, steps)
          scores = MatMul (f, v0)
        }}
    """
    return parse(text, opset=opset).SerializeToString()


@pytest.mark.parametrize("name", _PARTS)
def test_heads_are_cut_where_a_library_writes(name: str) -> None:
    _assert_heads_are_cut(_encoder(_PARTS[name]))


def test_heads_of_one_operator_are_cut_where_its_mask_is_repeated_for_each_sample() -> None:
    _assert_heads_are_cut(_fused_encoder())


def _assert_heads_are_cut(data: bytes) -> None:
    model = normalise(load_model(data))
    assert not {"Expand", "ScatterND", "GatherElements"} & {n.op_type for n in model.graph}
    groups, whole = unit_groups(model)
    heads = next(group for group in groups if group.units == 2)
    assert [consumer.block for consumer in heads.consumers] == [4]
    assert len(heads.producers) == 3, whole
    x = {"x": np.random.default_rng(0).normal(size=(3, 4, 6)).astype(np.float32)}
    assert compare(
        run_onnx(to_bytes(model), x)["scores"], run_onnx(data, x)["scores"], atol=1e-6, rtol=1e-4
    ).passed
    twins = model.clone()
    cuts = [copied_units(twins, group, np.random.default_rng(1)) for group in groups]
    small, wanted = run_onnx(to_bytes(cut_all(twins, cuts)), x), run_onnx(to_bytes(twins), x)
    assert compare(small["scores"], wanted["scores"], atol=1e-6, rtol=1e-4).passed
