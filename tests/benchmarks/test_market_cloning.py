"""The benchmark of cloning on pictures that are made up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.market.__main__ import main
from benchmarks.market.intervals import Interval
from tests.helpers.tiny_pictures import write_tiny_cifar10


@pytest.mark.slow
def test_clones_of_one_class_and_of_three_are_measured(tmp_path: Path) -> None:
    write_tiny_cifar10(tmp_path, train=20, test=5)
    given = ["--data", tmp_path, "--out", tmp_path / "out", "--k", 5, "--width", 1 / 32]
    options = ["--seeds", 0, "--part", "whole", "--position", "inputs"]

    assert main(["--only", "cloning", *map(str, given), *map(str, options)]) == 0

    (path,) = (tmp_path / "out").glob("cloning-*.json")
    found = json.loads(path.read_text())
    for name in ("one_class", "three_classes"):
        figures = found[name]
        assert figures["clones"] == 3
        assert figures["target_kept"]
        assert set(figures["positions"]) == {"inputs"}
        alone, ours = figures["target_alone"]["mean"], figures["clone"]
        assert ours["own_drop"]["mean"] == pytest.approx(alone - ours["own"]["mean"])


def test_an_unknown_experiment_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "nothing"]) == 2
    assert "cloning" in capsys.readouterr().err


def test_an_interval_is_as_wide_as_three_seeds_allow() -> None:
    found = Interval.of([0.1, 0.2, 0.3])
    assert found.mean == pytest.approx(0.2)
    # Student's t with two degrees of freedom: 4.303 · 0.1 / √3.
    assert found.high - found.mean == pytest.approx(0.2484, abs=1e-4)
    assert Interval.of([0.4]).low == 0.4
