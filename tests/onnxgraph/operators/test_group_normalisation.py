"""GroupNormalization: its meaning, and whole groups of channels cut out of it."""

from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
import torch

from onnxgraph.groups import unit_groups
from onnxgraph.normalise import normalise
from onnxgraph.parity import run_onnx
from onnxgraph.surgery import cut_all
from onnxgraph.view import TorchView
from tests.helpers.text_graphs import text_graph
from tests.helpers.unit_copies import copied_units

_BODIES = {
    21: "n = GroupNormalization <num_groups = 3> (c, cs, cb)",
    17: """
        r = Reshape (c, merged)
        i = InstanceNormalization (r, gs, gb)
        p = Reshape (i, parted)
        m = Mul (p, ks)
        n = Add (m, kb)
    """,
}
"""By opset: as an operator, and taken apart as torch writes it."""


def _model(opset: int) -> ir.Model:
    used: dict[int, dict[str, Any]] = {
        21: {"cs": (6,), "cb": (6,)},
        17: {
            "gs": (3,),
            "gb": (3,),
            "ks": (6, 1, 1),
            "kb": (6, 1, 1),
            "merged": np.array([0, 3, -1]),
            "parted": np.array([-1, 6, 4, 4]),
        },
    }
    return text_graph(
        "float[N, 2, 4, 4] x => float[N, 5, 4, 4] y",
        f"c = Conv (x, w)\n{_BODIES[opset]}\na = Relu (n)\ny = Conv (a, v)",
        opset=opset,
        w=(6, 2, 1, 1),
        v=(5, 6, 1, 1),
        **used[opset],
    )


@pytest.mark.parametrize("opset", _BODIES)
def test_groups_of_channels_are_cut_rightly(opset: int) -> None:
    model = normalise(_model(opset))
    x = np.random.default_rng(0).normal(size=(3, 2, 4, 4)).astype(np.float32)
    (group,) = unit_groups(model)[0]
    assert (group.units, group.consumers[0].block) == (3, 2)
    (before,) = run_onnx(ir.to_proto(model).SerializeToString(), {"x": x}).values()
    assert np.allclose(TorchView(model)(torch.from_numpy(x))[0].detach(), before, atol=1e-4)
    smaller = cut_all(model, [copied_units(model, group, np.random.default_rng(4))])
    (expected,) = run_onnx(ir.to_proto(model).SerializeToString(), {"x": x}).values()
    (found,) = run_onnx(ir.to_proto(smaller).SerializeToString(), {"x": x}).values()
    assert np.allclose(found, expected, rtol=1e-4, atol=1e-4)
