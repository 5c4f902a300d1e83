from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.ablations.__main__ import main
from benchmarks.ablations.counts import Budget
from benchmarks.ablations.laboratory import Laboratory
from benchmarks.ablations.levers import LEVERS
from benchmarks.ablations.slicing import fragment
from benchmarks.ablations.variant import Variant
from benchmarks.paper.experiment import seen_samples
from benchmarks.paper.slices import Sliceable, planned, sliced
from onnxgraph.parity import run_onnx
from slicer_svc.slicing.recipe import Recipe
from tests.helpers.tiny_pictures import tiny_bench, write_tiny_cifar10

LEVERS_TRIED = ("low_rank", "block")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures, and origins trained on them once for all tests."""
    made = tmp_path_factory.mktemp("ablations")
    write_tiny_cifar10(made, train=15, test=10)
    return made


def arguments(folder: Path, *more: str) -> list[str]:
    return [
        *("--data", str(folder), "--out", str(folder / "out"), "--k", "5", "--width", "0.03125"),
        *("--seeds", "0", "--block", "1", "--threads", "1", "--levers", ",".join(LEVERS_TRIED)),
        *("--budget-macs", "0.5", *more),
    ]


@pytest.fixture(scope="module")
def found(folder: Path) -> dict[str, Any]:
    assert main(arguments(folder)) == 0
    document: dict[str, Any] = json.loads((folder / "out" / "ablations.json").read_text())
    return document


def test_the_default_slices_as_the_library_does(folder: Path, found: dict[str, Any]) -> None:
    bench = tiny_bench(folder)
    lab = Laboratory(bench, 0)
    samples = seen_samples(bench, lab.draw, 1)
    source = Sliceable(bench.originals[1].model, samples, lab.augmentation)
    recipe = Recipe(budget_macs=0.5, block=1, seed=lab.draw.seed)
    plan = planned(source, recipe, folder / "curves", lambda _: None).plan
    theirs = sliced(source, plan, [2], lambda _: None)[2].graph
    ours = fragment(lab, 1, 2, Variant(block=1), Budget("macs", 0.5))
    inputs = {name: np.asarray(array) for name, array in samples.inputs.items()}
    after = run_onnx(theirs, inputs)
    for name, made in run_onnx(ours, inputs).items():
        expected = np.asarray(after[name], dtype=np.float64)
        found_here = np.asarray(made, dtype=np.float64)
        np.testing.assert_allclose(found_here, expected, atol=1e-4 * float(np.abs(expected).max()))


def test_every_variant_is_compared_with_the_default(found: dict[str, Any]) -> None:
    assert [lever["lever"] for lever in found["levers"]] == list(LEVERS_TRIED)
    for lever in found["levers"]:
        assert list(lever["variants"]) == list(LEVERS[lever["lever"]].variants)
    narrow = found["levers"][0]["variants"]["rank for 80%"]["budgets"]["macs0.5"]
    assert narrow["default_difference"] == pytest.approx(
        narrow["accuracy"] - found["default"]["macs0.5"]["accuracy"]
    )
    low, high = narrow["default_difference_ci95"]
    assert low <= narrow["default_difference"] <= high


def test_all_variants_keep_to_the_budget(found: dict[str, Any]) -> None:
    figures = [found["default"]["macs0.5"]] + [
        variant["budgets"]["macs0.5"]
        for lever in found["levers"]
        for variant in lever["variants"].values()
        if variant["budgets"]["macs0.5"] is not None
    ]
    assert len(figures) > 2
    assert all(0.2 < one["macs_share"] <= 0.51 for one in figures)


def test_a_variant_without_small_enough_fragments_is_told_as_that(
    folder: Path, found: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    blocks = next(lever for lever in found["levers"] if lever["lever"] == "block")
    assert blocks["variants"]["block 8"]["budgets"]["macs0.5"] is None
    assert main(arguments(folder)) == 0
    assert "| block | block 8 | not reached |" in capsys.readouterr().out


def test_what_was_made_before_is_taken_again(folder: Path, found: dict[str, Any]) -> None:
    cells = folder / "out" / ".cache" / "ablations"
    before = {path: path.stat().st_mtime_ns for path in cells.iterdir()}
    assert main(arguments(folder)) == 0
    assert {path: path.stat().st_mtime_ns for path in cells.iterdir()} == before
    again = json.loads((folder / "out" / "ablations.json").read_text())
    assert again["levers"] == found["levers"]


def test_a_budget_that_the_default_cannot_reach_is_refused(
    folder: Path, found: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(folder, "--block", "8")) == 1
    assert "the smallest fragment has" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--levers", "luck", "there is no lever called luck"),
        ("--budget-macs", "1.5", "at most 1"),
        ("--budget-macs", "", "a budget has to be given"),
        ("--draws", "0", "--draws has to be above 0"),
        ("--width", "inf", "--width has to be above 0 and finite"),
        ("--seeds", "-1", "none below 0"),
    ],
)
def test_what_cannot_be_run_is_refused(
    tmp_path: Path, option: str, value: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(tmp_path, f"{option}={value}")) == 1
    assert told in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
