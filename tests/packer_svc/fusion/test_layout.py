from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from onnxgraph.parity import run_onnx
from onnxgraph.serialise import from_trusted_bytes, to_bytes
from onnxgraph.siblings.find import Layout, find_siblings
from packer_svc.fusion.heads.fit import fit_head
from packer_svc.fusion.heads.spec import HeadSpec
from packer_svc.fusion.layout import costs
from packer_svc.fusion.layout import quickest as quickest_module
from packer_svc.fusion.layout.costs import CostTable
from packer_svc.fusion.layout.quickest import LayerChoice, Plan, Target, plans, promising, quickest
from packer_svc.fusion.pack import build_pack
from packer_svc.fusion.precision import Precision
from packer_svc.fusion.run_time import RunTime
from tests.helpers.fragments import CONVOLUTION, DENSE, Case, case

LABELS = ("zero", "three", "six")
BESIDE = CONVOLUTION.replace("12, 2, 3, 3", "5, 2, 3, 3").replace("float[12] b0", "float[5] b0")
BESIDE = BESIDE.replace("3, 108", "3, 45")

Times = Callable[..., Mapping[Plan, RunTime]]


def _packed(*texts: str) -> tuple[Case, bytes]:
    shown = case(*texts)
    head, _ = fit_head(shown.features, shown.labels, 3, HeadSpec())
    return shown, build_pack(shown.fragments, head, LABELS)


def _target(
    shown: Case, folder: Path | None = None, precision: Precision = Precision.FP32
) -> Target:
    return Target(precision, shown.inputs, folder)


def _seconds(**share: float) -> Callable[..., Mapping[Layout, float]]:
    """Layers that take as long as they are told to, and ever so long in other layouts."""
    told = {Layout(name): seconds for name, seconds in share.items()}
    return lambda siblings: {layout: told.get(layout, 9.0) for layout in siblings.layouts}


def _times(**share: float) -> Times:
    """Packs that take as long as they are told to."""
    return lambda runners, _: {plan: RunTime(0.1, share[plan.value]) for plan in runners}


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
    ("whole", "chosen"), [(0.5, Plan.BY_LAYER), (0.98, Plan.SEPARATE), (2.0, Plan.SEPARATE)]
)
def test_what_layers_promise_is_taken_only_where_the_whole_pack_keeps_it(
    monkeypatch: pytest.MonkeyPatch, whole: float, chosen: Plan
) -> None:
    shown, pack = _packed(CONVOLUTION, BESIDE)
    monkeypatch.setattr(CostTable, "seconds", lambda _, one: _seconds(separate=1, stacked=0.5)(one))
    monkeypatch.setattr(quickest_module, "run_times", _times(separate=1.0, by_layer=whole))
    laid = quickest(from_trusted_bytes(pack), _target(shown))
    assert laid.plan is chosen
    assert laid.pack == laid.lowered.graph
    assert (laid.pack == pack) is (chosen is Plan.SEPARATE)
    assert laid.time is not None
    assert laid.time.batch_seconds == {Plan.BY_LAYER: whole, Plan.SEPARATE: 1.0}[chosen]
    assert [choice.layout for choice in laid.layers] == [Layout.STACKED]


def test_a_pack_whose_layers_promise_nothing_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    shown, pack = _packed(CONVOLUTION, BESIDE)
    monkeypatch.setattr(
        CostTable, "seconds", lambda _, one: _seconds(separate=1, stacked=0.98)(one)
    )
    monkeypatch.setattr(quickest_module, "run_times", lambda *_: pytest.fail("tried"))
    laid = quickest(from_trusted_bytes(pack), _target(shown))
    assert (laid.plan, laid.pack, laid.times) == (Plan.SEPARATE, pack, {})


def test_a_layer_that_is_quicker_promises_nothing_beside_one_that_is_long() -> None:
    small = LayerChoice("a", 2, Layout.GROUPED, {Layout.SEPARATE: 0.01, Layout.GROUPED: 0.001})
    long = LayerChoice("b", 2, Layout.SEPARATE, {Layout.SEPARATE: 1.0, Layout.GROUPED: 2.0})
    assert promising([small])
    assert not promising([small, long])
    assert not promising([])


def test_layers_are_timed_once_for_all_packs_that_have_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _, pack = _packed(CONVOLUTION, BESIDE)
    (siblings,) = find_siblings(from_trusted_bytes(pack))
    first = CostTable(tmp_path).seconds(siblings)
    assert set(first) == {Layout.SEPARATE, Layout.STACKED}
    assert all(0 < seconds < 1 for seconds in first.values())
    (kept,) = tmp_path.iterdir()
    monkeypatch.setattr(costs, "Runner", lambda *_: pytest.fail("timed again"))
    assert CostTable(tmp_path).seconds(siblings) == first
    monkeypatch.undo()
    kept.write_text("{")
    assert set(CostTable(tmp_path).seconds(siblings)) == set(first)


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.INT8])
def test_the_same_pack_is_laid_out_the_same_way_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, precision: Precision
) -> None:
    shown, pack = _packed(CONVOLUTION, BESIDE)
    monkeypatch.setattr(CostTable, "seconds", lambda _, one: _seconds(separate=1, stacked=0.5)(one))
    first = quickest(from_trusted_bytes(pack), _target(shown, tmp_path, precision))
    monkeypatch.setattr(quickest_module, "run_times", lambda *_: pytest.fail("measured again"))
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


def test_a_manifest_tells_what_was_chosen_from(monkeypatch: pytest.MonkeyPatch) -> None:
    shown, pack = _packed(CONVOLUTION, BESIDE)
    monkeypatch.setattr(CostTable, "seconds", lambda _, one: _seconds(separate=1, stacked=0.5)(one))
    monkeypatch.setattr(quickest_module, "run_times", _times(separate=1.0, by_layer=0.5))
    told = quickest(from_trusted_bytes(pack), _target(shown)).to_json()
    assert told["chosen"] == "by_layer"
    assert told["run_times"]["separate"] == {"single_seconds": 0.1, "batch_seconds": 1.0}
    (layer,) = told["layers"]
    assert (layer["members"], layer["layout"]) == (2, "stacked")
    assert layer["seconds"] == {"separate": 1, "stacked": 0.5}


def test_a_pack_is_left_as_it_is_by_the_search(tmp_path: Path) -> None:
    shown, pack = _packed(CONVOLUTION, BESIDE)
    model = from_trusted_bytes(pack)
    quickest(model, _target(shown, tmp_path))
    assert to_bytes(model) == pack
