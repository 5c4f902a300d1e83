"""Packs of a size to order, their budget shared in three ways."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.sizing.__main__ import main
from tests.helpers.tiny_pictures import write_tiny_cifar10


@pytest.mark.slow
def test_every_pack_keeps_its_budget_and_trunks_are_compared_where_there_are_any(
    tmp_path: Path,
) -> None:
    write_tiny_cifar10(tmp_path, train=40, test=32)
    out = tmp_path / "out"
    given = [
        *("--origins", "cnn4:0.25 cnn4:0.25 cnn4:0.25", "--k", "5", "--threads", "1"),
        *("--targets", "0,1,3 0,3,6", "--budgets", "macs:0.3", "--seeds", "0,1"),
        *("--data", str(tmp_path), "--out", str(out)),
    ]
    assert main(given) == 0
    (path,) = out.glob("sizing-*.json")
    document = json.loads(path.read_text())
    packs = {(one["seed"], tuple(one["target"]), one["way"]): one for one in document["packs"]}
    targets = ((0, 1, 3), (0, 3, 6))
    ways = ("alike", "together", "trunks")
    assert set(packs) == {
        (seed, target, way) for seed in (0, 1) for target in targets for way in ways
    }
    assert all(0.2 < one["spent"] <= 1.0 for one in packs.values())
    for seed in (0, 1):
        assert set(packs[seed, (0, 1, 3), "together"]["shares"]) == {"0", "1", "3"}
        assert set(packs[seed, (0, 1, 3), "trunks"]["shares"]) == {"0,1", "3"}
        # With one class of every origin there is nothing to cut together.
        assert packs[seed, (0, 3, 6), "trunks"] == packs[seed, (0, 3, 6), "together"] | {
            "way": "trunks",
            "slice_seconds": packs[seed, (0, 3, 6), "trunks"]["slice_seconds"],
        }
    summary = document["summary"]["macs:0.3"]
    assert set(summary) == {"all", "0,1,3", "0,3,6"}
    assert summary["0,3,6"]["gain"]["trunks - together"] == {"mean": 0.0, "low": 0.0, "high": 0.0}
    told = summary["0,1,3"]
    gain = told["gain"]["trunks - alike"]
    means = told["accuracy"]
    assert gain["mean"] == pytest.approx(means["trunks"] - means["alike"], abs=1e-6)
    assert gain["low"] <= gain["mean"] <= gain["high"]
    assert main(given) == 2
