"""How the benchmark of evaluations sums up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.evaluation.__main__ import Outcome, main, summary


def outcome(true_error: float, error: float, bound: float) -> Outcome:
    judged: dict[str, Any] = {"head_alone": {"error": error, "error_upper_bound": bound}}
    return Outcome("0.0", true_error, 100, judged)


def test_optimism_and_broken_bounds_are_told() -> None:
    found: Any = summary([outcome(0.2, 0.1, 0.15), outcome(0.2, 0.15, 0.25)])
    told = found["by_kind"]["head_alone"]
    assert found["true_error"] == pytest.approx(0.2)
    assert told["error"] == pytest.approx(0.125)
    assert told["too_low_by"] == pytest.approx(0.075)
    assert told["bounds_held"] == 1


def test_data_that_are_not_there_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["--data", str(tmp_path), "--out", str(tmp_path / "out")])
    assert code != 0
    assert capsys.readouterr().err
    assert not (tmp_path / "out" / "evaluation.json").exists()
