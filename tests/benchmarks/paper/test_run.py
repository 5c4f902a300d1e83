from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.paper.__main__ import main

PROMISED = {
    *("task", "arch", "k", "method", "seed", "width", "draws", "accuracy"),
    *("accuracy_std_targets", "ensemble_difference", "ensemble_difference_ci95"),
    *("ensemble_accuracy", "finetune_accuracy", "camkd_accuracy", "disassembly_accuracy"),
    *("random_accuracy", "fragment_parameters", "packing_parameters", "ensemble_parameters"),
    *("fragment_macs", "ensemble_macs", "plan_seconds", "slice_seconds_per_class"),
    *("pack_seconds", "peak_rss_bytes", "device"),
}
NAME = "T1-vgg16-w0.03125-k5-closed_form-macs0.5-block1-views2-s0.json"


def arguments(market: Path, *more: str) -> list[str]:
    return [
        *("--task", "T1", "--arch", "vgg16", "--k", "5", "--width", "0.03125"),
        *("--budget-macs", "0.5", "--block", "1", "--views", "2", "--threads", "1"),
        *("--data", str(market), "--out", str(market / "out")),
        *more,
    ]


@pytest.fixture(scope="module")
def found(market: Path) -> dict[str, Any]:
    assert main(arguments(market, "--draws", "2")) == 0
    document: dict[str, Any] = json.loads((market / "out" / NAME).read_text())
    return document


def test_a_run_leaves_one_document_with_every_figure(found: dict[str, Any]) -> None:
    assert set(found) >= PROMISED
    assert (found["task"], found["k"], found["draws"]) == ("T1", 5, 2)


def test_packs_of_origins_that_know_their_classes_know_them_too(found: dict[str, Any]) -> None:
    assert found["accuracy"] > 0.6
    assert found["ensemble_accuracy"] > 0.6
    assert found["ensemble_difference"] == pytest.approx(
        found["accuracy"] - found["ensemble_accuracy"]
    )
    low, high = found["ensemble_difference_ci95"]
    assert low <= found["ensemble_difference"] <= high


def test_a_pack_keeps_to_its_budget(found: dict[str, Any]) -> None:
    assert 0 < found["macs_share"] <= 0.51
    assert found["fragment_parameters"] < found["ensemble_parameters"]


def test_a_document_that_is_there_is_not_replaced_unasked(
    market: Path, found: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    before = (market / "out" / NAME).stat().st_mtime_ns
    assert main(arguments(market, "--draws", "2")) == 2
    assert "--force" in capsys.readouterr().err
    assert (market / "out" / NAME).stat().st_mtime_ns == before


def test_a_draw_depends_on_seed_and_number_alone(market: Path, found: dict[str, Any]) -> None:
    assert main(arguments(market, "--baselines", "ensemble", "--force")) == 0
    again = json.loads((market / "out" / NAME).read_text())
    for name in ("pack", "ensemble"):
        first = [draws[:1] for draws in found["correct"][name]]
        assert again["correct"][name] == first
    assert again["kept_units"] == found["kept_units"]


def test_random_units_are_other_units(found: dict[str, Any]) -> None:
    assert found["correct"]["random"] != found["correct"]["pack"]


@pytest.mark.slow
def test_every_baseline_has_its_figure(market: Path) -> None:
    assert main(arguments(market, "--baselines", "all", "--seed", "1")) == 0
    found = json.loads((market / "out" / NAME.replace("-s0.", "-s1.")).read_text())
    for name in ("ensemble", "ensemble_lda", "finetune", "camkd", "disassembly", "random"):
        assert 0 < found[f"{name}_accuracy"] <= 1


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--baselines", "oracle"], "oracle"),
        (["--k", "100"], "training examples"),
        (["--label-order", "superclass"], "superclasses"),
        (["--arch", "rnn"], "rnn"),
        (["--data", "nowhere"], "nowhere"),
    ],
)
def test_what_cannot_be_run_is_refused_in_a_sentence(
    market: Path, capsys: pytest.CaptureFixture[str], more: list[str], said: str
) -> None:
    assert main(arguments(market, "--force", *more)) == 1
    assert said in capsys.readouterr().err
