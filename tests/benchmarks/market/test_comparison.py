"""Slice-and-Pack beside its neighbours, on pictures that are made up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.market.__main__ import main
from benchmarks.market.comparison.measured import NEIGHBOURS, OURS, SIZED, at, summary
from tests.helpers.tiny_pictures import write_tiny_cifar10


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_method_answers_to_the_same_wish(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_tiny_cifar10(tmp_path, train=15, test=10)
    given = ["--data", tmp_path, "--out", tmp_path / "out", "--tasks", "T1", "--k", 5]
    options = ["--width", 1 / 32, "--draws", 1, "--views", 2, "--budget-params", 0.3]

    assert main(["--only", "comparison", *map(str, given), *map(str, options)]) == 0

    found = json.loads((tmp_path / "out" / "compare-T1.json").read_text())
    for name in (OURS, *NEIGHBOURS):
        assert 0.2 < found[f"{name}_accuracy"] <= 1.0
        assert found[f"{name}_macs"] > found[f"{name}_parameters"] > 0
        assert found[f"{name}_seconds"] > 0
        assert len(found["accuracies"][name][0]) == 3
    for name in SIZED:
        assert found[f"{at(name)}_parameters"] <= found[f"{name}_parameters"]
    # A clone keeps all of its target and has parts beside it; whole origins are more than any.
    assert found["pnc_parameters"] > found[f"{OURS}_parameters"]
    assert found["ensemble_parameters"] > found["pnc_parameters"]
    told = capsys.readouterr().out
    assert all(name in told for name in (OURS, *NEIGHBOURS))


def test_differences_are_paired_and_figures_are_means_over_seeds_draws_and_targets() -> None:
    def rows(*shares: float) -> list[dict[str, Any]]:
        return [
            {
                "right": (np.arange(100) < 100 * share).astype(int).tolist(),
                "parameters": 10,
                "macs": 20,
                "seconds": 2.0,
            }
            for share in shares
        ]

    everybody = {name: rows(0.5, 0.5) for name in (*NEIGHBOURS, *map(at, SIZED))}
    draws = [{OURS: rows(share, 0.7), **everybody} for share in (0.9, 0.8)]
    found = summary([draws, [{OURS: rows(1.0, 0.7), **everybody}] * 2])
    assert found[f"{OURS}_accuracy"] == pytest.approx((0.85 + 1.0 + 2 * 0.7) / 4)
    assert found[f"{OURS}_seconds"] == 2.0
    gap = found["less_dery"]
    assert isinstance(gap, dict)
    assert gap["mean"] == pytest.approx(0.3125)
    assert gap["low"] < 0.3125 < gap["high"]


def test_without_a_name_the_options_are_those_that_all_experiments_share(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["--data", "nowhere", "--tasks", "T1"])
    assert "required: --out" in capsys.readouterr().err
