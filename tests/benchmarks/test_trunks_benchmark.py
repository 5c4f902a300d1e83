"""Trunks of several classes against fragments of one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.trunks import main
from tests.helpers.tiny_pictures import write_tiny_cifar10


@pytest.mark.slow
def test_the_document_has_every_pack_and_a_trunk_costs_one_fragment(tmp_path: Path) -> None:
    write_tiny_cifar10(tmp_path, train=40, test=32)
    out = tmp_path / "out"
    given = [
        *("--task", "T1", "--arch", "vgg16", "--k", "5", "--width", "0.0625", "--threads", "1"),
        *("--budget-macs", "0.5", "--block", "1", "--views", "1"),
        *("--classes", "2,3", "--mixed", "2", "--apart", "0.5", "--joint", "0.5"),
        *("--data", str(tmp_path), "--out", str(out)),
    ]
    assert main(given) == 0
    (path,) = out.glob("trunks-*.json")
    packs = {(one["classes"], one["way"]): one for one in json.loads(path.read_text())["packs"]}
    assert set(packs) == {(n, way) for n in (2, 3, 6) for way in ("whole", "apart", "joint")}
    for classes, origins in ((2, 1), (3, 1), (6, 3)):
        apart, joint = packs[classes, "apart"], packs[classes, "joint"]
        assert apart["origins"] == joint["origins"] == origins
        # Front layers that are kept whole are shared anyway.
        assert joint["macs"] < apart["macs"] < 1.2 * joint["macs"] * classes / origins
        assert joint["macs"] == pytest.approx(0.5, rel=0.1)
        assert packs[classes, "whole"]["macs"] == pytest.approx(1.0, rel=0.01)
    assert main(given) == 2
