from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.speed.__main__ import main
from benchmarks.speed.networks import resnet50


def test_resnet50_is_as_large_as_published() -> None:
    assert sum(one.numel() for one in resnet50(1000, 1.0).parameters()) == 25_557_032


def test_what_is_out_of_range_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for given in (["--k", "0"], ["--width", "nan"], ["--others", "-1"], ["--budget-macs", "2"]):
        assert main([*given, "--out", str(tmp_path)]) == 1
        assert given[0].strip("-").replace("-", "_") in capsys.readouterr().err.replace("-", "_")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_narrow_network_is_planned_and_sliced(tmp_path: Path) -> None:
    given = [
        *("--width", "0.0625", "--classes", "3", "--sliced", "2", "--k", "2", "--others", "2"),
        *("--views", "2", "--budget-macs", "0.5", "--threads", "1", "--out", str(tmp_path)),
    ]
    assert main(given) == 0
    found = json.loads((tmp_path / "speed-vgg16-closed_form.json").read_text())
    assert len(found["slice_seconds"]) == 2
    assert 0.3 < found["macs_share"] <= 0.5
    assert found["peak_rss_bytes"] > 0
