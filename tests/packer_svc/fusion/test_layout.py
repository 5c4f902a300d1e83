from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from onnxgraph.parity import run_onnx
from packer_svc.fusion import layout as layouts_module
from packer_svc.fusion.heads.fit import fit_head
from packer_svc.fusion.heads.spec import HeadSpec
from packer_svc.fusion.layout import Layout, layouts, quickest
from packer_svc.fusion.pack import build_pack
from packer_svc.fusion.precision import Lowered
from packer_svc.fusion.run_time import RunTime
from tests.helpers.fragments import CONVOLUTION, DENSE, Case, case

LABELS = ("zero", "three", "six")
BESIDE = CONVOLUTION.replace("12, 2, 3, 3", "5, 2, 3, 3").replace("float[12] b0", "float[5] b0")
BESIDE = BESIDE.replace("3, 108", "3, 45")


def _packed(*texts: str) -> tuple[Case, bytes]:
    shown = case(*texts)
    head, _ = fit_head(shown.features, shown.labels, 3, HeadSpec())
    return shown, build_pack(shown.fragments, head, LABELS)


def test_all_layouts_of_a_pack_compute_the_same() -> None:
    shown, pack = _packed(CONVOLUTION, BESIDE, DENSE)
    found = layouts(pack)
    assert set(found) == set(Layout)
    expected = run_onnx(pack, shown.inputs)["probabilities"].astype(np.float64)
    for graph in found.values():
        answers = run_onnx(graph, shown.inputs)["probabilities"]
        np.testing.assert_allclose(answers.astype(np.float64), expected, atol=1e-6)


def test_a_pack_without_siblings_has_one_layout() -> None:
    _, pack = _packed(CONVOLUTION, DENSE)
    assert layouts(pack) == {Layout.SEPARATE: pack}


@pytest.mark.parametrize(
    ("stacked", "chosen"),
    [(0.5, Layout.STACKED), (0.98, Layout.SEPARATE), (2.0, Layout.SEPARATE)],
)
def test_another_layout_is_taken_only_where_it_is_clearly_quicker(
    monkeypatch: pytest.MonkeyPatch, stacked: float, chosen: Layout
) -> None:
    shown, pack = _packed(CONVOLUTION, BESIDE)
    found = layouts(pack)
    taken = {found[Layout.SEPARATE]: 1.0, found[Layout.STACKED]: stacked}
    monkeypatch.setattr(
        layouts_module, "run_time", lambda graph, _: RunTime(taken[graph] / 4, taken[graph])
    )
    laid = quickest(pack, shown.inputs, Lowered, threads=2)
    assert laid.layout is chosen
    assert laid.pack == laid.lowered.graph == found[chosen]
    assert laid.time.batch_seconds == taken[found[chosen]]


def test_the_same_pack_is_laid_out_the_same_way_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shown, pack = _packed(CONVOLUTION, BESIDE)
    first = quickest(pack, shown.inputs, Lowered, threads=1, table=tmp_path)
    (kept,) = tmp_path.iterdir()
    monkeypatch.setattr(layouts_module, "run_time", lambda *_: pytest.fail("measured again"))
    assert quickest(pack, shown.inputs, Lowered, threads=1, table=tmp_path) == first
    other, _ = _packed(CONVOLUTION, DENSE)
    monkeypatch.undo()
    kept.write_text("{")
    again = quickest(pack, other.inputs, Lowered, threads=1, table=tmp_path)
    assert set(again.times) == set(first.times)
