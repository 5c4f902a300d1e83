from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from onnxgraph.load import load_model
from onnxgraph.normalise import normalise
from onnxgraph.parity import Runner, run_onnx
from onnxgraph.serialise import from_trusted_bytes, to_bytes
from onnxgraph.siblings.find import Layout, Siblings, find_siblings
from packer_svc.fusion.heads.fit import fit_head
from packer_svc.fusion.heads.spec import HeadSpec
from packer_svc.fusion.layout import costs
from packer_svc.fusion.layout import quickest as quickest_module
from packer_svc.fusion.layout.costs import BATCHES, NOTHING, Costs, CostTable, Times
from packer_svc.fusion.layout.quickest import Plan, Target, plans, quickest
from packer_svc.fusion.pack import build_pack
from packer_svc.fusion.precision import Precision
from tests.helpers.fragments import CONVOLUTION, DENSE, Case, case
from tests.helpers.graph_texts import parse

LABELS = ("zero", "three", "six")
TWO_DEEP = """
two (float[batch, 4] rows) => (float[batch, 6] scores)
  <float[4, 3] w0, float[4, 2] w1, float[3, 3] w2, float[2, 3] w3, float[3, 3] w4, float[3, 3] w5>
{
  a = MatMul (rows, w0)
  b = MatMul (rows, w1)
  c = Tanh (a)
  d = Tanh (b)
  e = MatMul (c, w2)
  f = MatMul (d, w3)
  g = Tanh (e)
  h = Tanh (f)
  i = MatMul (g, w4)
  j = MatMul (h, w5)
  scores = Concat <axis = 1> (i, j)
}
"""
BESIDE = CONVOLUTION.replace("12, 2, 3, 3", "5, 2, 3, 3").replace("float[12] b0", "float[5] b0")
BESIDE = BESIDE.replace("3, 108", "3, 45")


def _packed(*texts: str) -> tuple[Case, bytes]:
    shown = case(*texts)
    head, _ = fit_head(shown.features, shown.labels, 3, HeadSpec())
    return shown, build_pack(shown.fragments, head, LABELS)


def _target(
    shown: Case, folder: Path | None = None, precision: Precision = Precision.FP32
) -> Target:
    return Target(precision, shown.inputs, folder)


def _cost(siblings: Siblings, seconds: Mapping[str, Times]) -> Costs:
    """Layers that take as long as they are told to in the layouts that are named."""
    told = {Layout(name): times for name, times in seconds.items()}
    known = {layout: told[layout] for layout in siblings.layouts if layout in told}
    return Costs(known, {}, {}) if len(known) > 1 else NOTHING


def _promise(monkeypatch: pytest.MonkeyPatch, stacked: float) -> None:
    """Lets stacked layers take a share of the time of separate ones in any batch."""
    seconds = {
        "separate": {batch: float(batch) for batch in BATCHES},
        "stacked": {batch: stacked * batch for batch in BATCHES},
    }
    monkeypatch.setattr(CostTable, "costs", lambda _, siblings, __: _cost(siblings, seconds))


def _time(monkeypatch: pytest.MonkeyPatch, **single: float) -> None:
    """Lets packs take as long in a batch of 1 as they are told to, and equally long in others."""

    def times(
        runners: Mapping[Plan, Runner], _: object, batches: Sequence[int], **__: object
    ) -> Mapping[int, Mapping[Plan, float]]:
        return {
            batch: {plan: single[plan.value] if batch == 1 else 3.0 for plan in runners}
            for batch in batches
        }

    monkeypatch.setattr(quickest_module, "run_times", times)


def test_all_plans_of_a_pack_compute_the_same() -> None:
    shown, pack = _packed(CONVOLUTION, BESIDE, DENSE)
    found = plans(from_trusted_bytes(pack), pack)
    assert set(found) == {Plan.SEPARATE, Plan.STACKED}
    expected = run_onnx(pack, shown.inputs)["probabilities"].astype("float64")
    for graph in found.values():
        answers = run_onnx(graph, shown.inputs)["probabilities"].astype("float64")
        assert abs(answers - expected).max() < 1e-6


def test_a_pack_without_siblings_has_one_plan(tmp_path: Path) -> None:
    shown, pack = _packed(CONVOLUTION, DENSE)
    assert plans(from_trusted_bytes(pack), pack) == {Plan.SEPARATE: pack}
    laid = quickest(from_trusted_bytes(pack), _target(shown, tmp_path))
    assert (laid.plan, laid.pack, laid.layers, laid.time) == (Plan.SEPARATE, pack, (), None)


@pytest.mark.parametrize(
    ("whole", "chosen"), [(0.5, Plan.BY_LAYER), (1.01, Plan.BY_LAYER), (2.0, Plan.SEPARATE)]
)
def test_what_layers_promise_is_taken_unless_the_whole_pack_is_slower(
    monkeypatch: pytest.MonkeyPatch, whole: float, chosen: Plan
) -> None:
    shown, pack = _packed(CONVOLUTION, BESIDE)
    _promise(monkeypatch, stacked=0.5)
    _time(monkeypatch, separate=1.0, by_layer=whole)
    laid = quickest(from_trusted_bytes(pack), _target(shown))
    assert laid.plan is chosen
    assert laid.pack == laid.lowered.graph
    assert (laid.pack == pack) is (chosen is Plan.SEPARATE)
    assert laid.time is not None
    assert laid.time.single_seconds == {Plan.BY_LAYER: whole, Plan.SEPARATE: 1.0}[chosen]
    assert [choice.layout for choice in laid.layers] == [Layout.STACKED]


def test_a_pack_whose_layers_promise_nothing_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    shown, pack = _packed(CONVOLUTION, BESIDE)
    _promise(monkeypatch, stacked=0.995)
    monkeypatch.setattr(quickest_module, "run_times", lambda *_, **__: pytest.fail("tried"))
    laid = quickest(from_trusted_bytes(pack), _target(shown))
    assert (laid.plan, laid.pack, laid.times) == (Plan.SEPARATE, pack, {})
    assert max(laid.regret.values()) < 1.01


def test_layers_are_timed_once_for_all_packs_that_have_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _, pack = _packed(CONVOLUTION, BESIDE)
    (siblings,) = find_siblings(from_trusted_bytes(pack))
    monkeypatch.setattr(costs, "HOPELESS", float("inf"))
    first = CostTable(tmp_path).costs(siblings, BATCHES)
    assert set(first.seconds) == {Layout.SEPARATE, Layout.STACKED}
    assert all(0 < times[batch] < 1 for times in first.seconds.values() for batch in BATCHES)
    assert first.enter == {}
    assert all(0 < first.leave[batch] < 1 for batch in BATCHES)
    monkeypatch.setattr(costs, "Runner", lambda *_: pytest.fail("timed again"))
    assert CostTable(tmp_path).costs(siblings, BATCHES) == first
    assert set(CostTable(tmp_path).costs(siblings, (1,)).leave) == {1}
    monkeypatch.undo()
    for kept in tmp_path.iterdir():
        kept.write_text("{")
    assert CostTable(tmp_path).costs(siblings, (1,)).seconds.keys() <= first.seconds.keys()


def test_siblings_that_are_too_large_to_be_dense_are_not_tried_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = normalise(load_model(parse(TWO_DEEP).SerializeToString()))
    (dense,) = [one for one in find_siblings(model) if Layout.BLOCK_DIAGONAL in one.layouts]
    monkeypatch.setattr(costs, "HOPELESS", float("inf"))
    assert Layout.BLOCK_DIAGONAL in CostTable(None).costs(dense, (1,)).seconds
    monkeypatch.setattr(costs, "MOST_DENSE_WEIGHTS", 1)
    assert CostTable(None).costs(dense, (1,)) == NOTHING


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.INT8])
def test_the_same_pack_is_laid_out_the_same_way_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, precision: Precision
) -> None:
    shown, pack = _packed(CONVOLUTION, BESIDE)
    _promise(monkeypatch, stacked=0.5)
    first = quickest(from_trusted_bytes(pack), _target(shown, tmp_path, precision))
    monkeypatch.setattr(
        quickest_module, "run_times", lambda *_, **__: pytest.fail("measured again")
    )
    again = quickest(from_trusted_bytes(pack), _target(shown, tmp_path, precision))
    assert again == first
    assert set(first.times) == {
        Plan.SEPARATE,
        Plan.BY_LAYER if precision is Precision.FP32 else Plan.STACKED,
    }
    monkeypatch.undo()
    for kept in tmp_path.iterdir():
        kept.write_text("[]")
    assert quickest(from_trusted_bytes(pack), _target(shown, tmp_path, precision)).pack


def test_a_manifest_tells_what_was_chosen_from_and_what_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown, pack = _packed(CONVOLUTION, BESIDE)
    _promise(monkeypatch, stacked=0.9)
    _time(monkeypatch, separate=1.0, by_layer=1.08)
    told = json.loads(json.dumps(quickest(from_trusted_bytes(pack), _target(shown)).to_json()))
    assert told["chosen"] == "by_layer"
    assert told["run_times"]["separate"] == {"1": 1.0, "8": 3.0}
    # Layers promise more than a tenth, whole packs deny less: it is taken, and told what it loses.
    assert told["regret"] == {"1": 1.08, "8": 1.0, "32": 1.0}
    assert (told["bound"], told["beyond_bound"]) == (1.05, {"1": 1.08})
    (layer,) = told["layers"]
    assert (layer["members"], layer["layout"]) == (2, "stacked")
    assert layer["seconds"]["stacked"] == {"1": 0.9, "8": 7.2, "32": 28.8}


def test_a_pack_is_left_as_it_is_by_the_search(tmp_path: Path) -> None:
    shown, pack = _packed(CONVOLUTION, BESIDE)
    model = from_trusted_bytes(pack)
    quickest(model, _target(shown, tmp_path))
    assert to_bytes(model) == pack
