"""What the originals of packs cost, measured once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from packer_svc.fusion.original_times import OriginalTimes
from packer_svc.fusion.originals import compared, timed
from packer_svc.fusion.proof import ModelSize
from packer_svc.fusion.run_time import RunTime, run_time
from tests.helpers.fragments import CONVOLUTION, DENSE, fragment, samples

DIGEST = "sha256:" + 64 * "1"
TIMES = {"single_seconds": 0.25, "batch_seconds": 1.5}


def asked(folder: Path, graph: bytes, digest: str = DIGEST) -> dict[str, Any]:
    """An original that nobody timed, as a worker is told of it."""
    inputs, labels = samples(3, 4)
    (folder / "graph.onnx").write_bytes(graph)
    np.savez(folder / "samples.npz", image=inputs, labels=labels)
    return {
        "name": "models/pets",
        "graph_digest": digest,
        "parameters": 10,
        "macs": 20,
        "bytes": len(graph),
        "run_time": None,
        "graph": str(folder / "graph.onnx"),
        "samples": str(folder / "samples.npz"),
    }


def test_times_are_kept_by_graph(tmp_path: Path) -> None:
    times = OriginalTimes(tmp_path)
    assert times.kept(DIGEST) is None
    times.keep(DIGEST, TIMES)
    assert times.kept(DIGEST) == TIMES
    assert times.kept("sha256:" + 64 * "2") is None


@pytest.mark.parametrize(
    "damaged",
    [
        "{",
        "[]",
        "null",
        '{"single_seconds": 1}',
        '{"single_seconds": "x", "batch_seconds": 1}',
        '{"single_seconds": NaN, "batch_seconds": 1}',
        '{"single_seconds": -1, "batch_seconds": 1}',
    ],
)
def test_a_damaged_time_is_measured_again(tmp_path: Path, damaged: str) -> None:
    times = OriginalTimes(tmp_path)
    times.keep(DIGEST, TIMES)
    [path] = tmp_path.iterdir()
    path.write_text(damaged)
    assert times.kept(DIGEST) is None


def test_an_original_is_timed_and_its_time_kept(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    times = OriginalTimes(kept)
    [one] = timed([asked(tmp_path, fragment(CONVOLUTION))], times, threads=2)
    assert one.run_time is not None
    assert one.run_time.single_seconds > 0
    assert one.left_out == ""
    found = times.kept(DIGEST)
    assert found is not None
    assert RunTime(**found) == one.run_time


def test_a_known_time_needs_no_graph(tmp_path: Path) -> None:
    known = asked(tmp_path, b"") | {"run_time": TIMES}
    del known["graph"], known["samples"]
    [one] = timed([known], OriginalTimes(tmp_path), threads=1)
    assert one.run_time == RunTime(**TIMES)


def test_an_original_that_cannot_be_run_is_left_out_and_says_why(tmp_path: Path) -> None:
    broken = asked(tmp_path, b"no graph")
    gone = {**broken, "name": "models/gone", "left_out": "It is gone."}
    del gone["graph"]
    found = timed([broken, gone], OriginalTimes(tmp_path), threads=1)
    assert [one.run_time for one in found] == [None, None]
    assert found[0].left_out.startswith("ONNX Runtime cannot load the graph")
    assert found[1].left_out == "It is gone."
    told = compared(ModelSize(1, 2, 3), found)
    assert told["ensemble"] == {
        "parameters": 1,
        "macs": 2,
        "bytes": 3,
        "run_time": None,
        "run_time_is": "sum_of_originals",
    }


def test_the_ensembles_time_is_the_sum_of_its_originals(tmp_path: Path) -> None:
    known = asked(tmp_path, b"") | {"run_time": TIMES}
    found = timed([known, known], OriginalTimes(tmp_path), threads=1)
    told = compared(ModelSize(1, 2, 3), found)
    assert isinstance(told["ensemble"], dict)
    assert told["ensemble"]["run_time"] == {"single_seconds": 0.5, "batch_seconds": 3.0}


def test_any_graph_can_be_timed_by_all_of_its_outputs() -> None:
    inputs, _ = samples(3, 4)
    found = run_time(fragment(DENSE), {"image": inputs}, None)
    assert 0 < found.single_seconds < 10
    assert 0 < found.batch_seconds < 10
