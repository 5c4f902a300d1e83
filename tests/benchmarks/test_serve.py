from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.serve.__main__ import main
from tests.helpers.tiny_pictures import write_tiny_cifar10


@pytest.mark.slow
def test_tiny_packs_are_served_and_measured(tmp_path: Path) -> None:
    write_tiny_cifar10(tmp_path, train=40, test=32)
    out = tmp_path / "out"
    given = [
        *("--data", str(tmp_path), "--out", str(out), "--width", "0.0625", "--block", "1"),
        *("--budgets", "0.5", "--clients", "2", "--rounds", "1", "--seconds", "0.2"),
        *("--threads", "1"),
    ]
    assert main(given) == 0
    found = json.loads((out / "serve.json").read_text())
    for name in ("throughput_ratio", "throughput_ratio_int8", "triton_overhead_ratio"):
        assert set(found[name]) == {"1", "8", "32"}
        assert all(ratio > 0 for ratio in found[name].values())
    assert found["pack_macs"] < found["ensemble_macs"]
    assert found["peak_rss_bytes"] > 0
    assert [model["name"] for model in found["models"]] == [
        "ensemble",
        "ensemble-bytes",
        "pack-50-fp32",
        "pack-50-int8",
        "pack-50-fp32-bytes",
        "pack-50-int8-bytes",
    ]
    assert main(given) == 2


def test_data_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert "cifar" in capsys.readouterr().err.lower()
