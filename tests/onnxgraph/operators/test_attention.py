"""The Attention operator: its meaning, and whole heads cut out of it."""

from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import onnx_ir as ir
import pytest
import torch
from onnx.reference import ReferenceEvaluator

from onnxgraph.cost import cost
from onnxgraph.groups import unit_groups
from onnxgraph.parity import run_onnx
from onnxgraph.surgery import Cut, cut_all
from onnxgraph.view import TorchView
from tests.helpers.text_graphs import text_graph
from tests.helpers.unit_copies import copied_units

HEADS, PLACES, STEPS, WIDTH = 4, 3, 5, 6


@dataclass(frozen=True)
class Case:
    """A spelling of attention over `(N, 5, 6)`, four heads of three places.

    Attributes:
        name: What is special about it.
        shared: Heads of keys and values.
        parted: Whether heads have an axis of their own.
        attributes: Further attributes as ONNX text.
        mask: The fourth input.
    """

    name: str
    shared: int = HEADS
    parted: bool = False
    attributes: str = ""
    mask: Any = field(default=None, compare=False)

    def __str__(self) -> str:
        return self.name


_RANDOM = np.random.default_rng(5)
_SEEN = _RANDOM.random((STEPS, STEPS)) < 0.6

CASES = (
    Case("heads_merged"),
    Case("heads_apart", parted=True),
    Case("keys_shared", shared=2),
    Case("keys_shared_apart", shared=2, parted=True),
    Case("scaled", attributes=", scale = 0.3"),
    Case("causal", attributes=", is_causal = 1"),
    Case("capped", attributes=", softcap = 0.5"),
    Case("biased", mask=_RANDOM.normal(size=(1, HEADS, STEPS, STEPS)).astype(np.float32)),
    Case("masked", mask=_SEEN | np.eye(STEPS, dtype=bool)),
    Case("capped_and_biased", attributes=", softcap = 0.5", mask=np.ones((5, 5), np.float32)),
)


def _model(case: Case) -> ir.Model:
    keys = case.shared * PLACES
    heads = f"q_num_heads = {HEADS}, kv_num_heads = {case.shared}"
    operands, attributes = "q, k, v", f"<{heads}{case.attributes}>"
    constants: dict[str, Any] = {}
    body = "q = MatMul (x, wq)\nk = MatMul (x, wk)\nv = MatMul (x, wv)\n"
    if case.parted:
        for name, count in (("q", HEADS), ("k", case.shared), ("v", case.shared)):
            body += f"{name}r = Reshape ({name}, {name}s)\n"
            body += f"{name}t = Transpose <perm = [0, 2, 1, 3]> ({name}r)\n"
            constants[f"{name}s"] = np.array([-1, STEPS, count, PLACES])
        operands = "qt, kt, vt"
        attributes = f"<{case.attributes[2:]}>" if case.attributes else ""
    if case.mask is not None:
        operands += ", mask"
        constants["mask"] = case.mask
    body += f"a = Attention {attributes} ({operands})\n"
    last = "a"
    if case.parted:
        body += "b = Transpose <perm = [0, 2, 1, 3]> (a)\nc = Reshape (b, merged)\n"
        constants["merged"] = np.array([-1, STEPS, HEADS * PLACES])
        last = "c"
    return text_graph(
        f"float[N, {STEPS}, {WIDTH}] x => float[N, {STEPS}, 2] y",
        f"{body}y = MatMul ({last}, wo)",
        opset=23,
        wq=(WIDTH, HEADS * PLACES),
        wk=(WIDTH, keys),
        wv=(WIDTH, keys),
        wo=(HEADS * PLACES, 2),
        **constants,
    )


def _inputs() -> dict[str, Any]:
    return {"x": np.random.default_rng(0).normal(size=(3, STEPS, WIDTH)).astype(np.float32)}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_attention_equals_the_onnx_reference(case: Case) -> None:
    model, inputs = _model(case), _inputs()
    outputs = cast(list[Any], ReferenceEvaluator(ir.to_proto(model)).run(None, inputs))
    expected = np.asarray(outputs[0])
    (found,) = TorchView(model)(torch.from_numpy(inputs["x"]))
    assert np.abs(found.detach().numpy() - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_whole_heads_are_cut_rightly(case: Case) -> None:
    model = _model(case)
    groups, whole = unit_groups(model)
    assert [(group.units, group.producers) for group in groups] == [(case.shared, ("q", "k", "v"))]
    assert [part.nodes for part in whole] == [("y",)]
    assert groups[0].consumers[0].block == HEADS // case.shared * PLACES
    cuts = [copied_units(model, groups[0], np.random.default_rng(2))]
    smaller = cut_all(model, cuts)
    (expected,) = TorchView(model)(torch.from_numpy(_inputs()["x"]))
    (found,) = TorchView(smaller)(torch.from_numpy(_inputs()["x"]))
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_is_left_of_attention_runs_in_onnx_runtime(case: Case) -> None:
    model = _model(case)
    (group,) = unit_groups(model)[0]
    smaller = cut_all(model, [(group, Cut(np.array([1])))])
    (expected,) = TorchView(smaller)(torch.from_numpy(_inputs()["x"]))
    (found,) = run_onnx(ir.to_proto(smaller).SerializeToString(), _inputs()).values()
    assert np.allclose(found, expected.detach().numpy(), rtol=1e-4, atol=1e-5)


def test_heads_cost_what_their_products_cost() -> None:
    model = _model(CASES[0])
    projections = 3 * WIDTH * HEADS * PLACES + HEADS * PLACES * 2
    products = 2 * STEPS * HEADS * PLACES
    assert cost(model).macs == STEPS * (projections + products)
