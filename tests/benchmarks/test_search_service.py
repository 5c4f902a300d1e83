from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.market.service.__main__ import main


def test_what_is_out_of_range_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for given in (["--models", "0"], ["--searches", "-1"], ["--seed", "-1"]):
        with pytest.raises(SystemExit) as ended:
            main([*given, "--out", str(tmp_path)])
        assert ended.value.code == 2
        assert given[0] in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_searches_of_a_running_slicer_are_measured(tmp_path: Path) -> None:
    given = ["--models", "20", "--searches", "4", "--threads", "1", "--out", str(tmp_path)]
    assert main(given) == 0
    found = json.loads((tmp_path / "search_service.json").read_text())
    asked = ("get_model_while_reading", "get_model_meanwhile")
    for kind in ("search_models", "search_classes", *asked):
        assert 0 < found[kind]["p50_ms"] <= found[kind]["p99_ms"]
