"""What a pack's originals cost, beside which its own cost is seen."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from onnxgraph.errors import GraphError
from packer_svc.fusion.original_times import OriginalTimes
from packer_svc.fusion.proof import ModelSize
from packer_svc.fusion.run_time import BATCH, RunTime, run_time
from svckit.input_spec import LABELS


@dataclass(frozen=True)
class Original:
    """One model that fragments of a pack were cut out of, as checked and normalised.

    Attributes:
        name: Its name in the slicer.
        graph_digest: `sha256:<hex>` of its graph; empty if nobody knows it.
        parameters: Floating initializers.
        macs: Multiply-accumulates per sample.
        bytes: Size of the ONNX file; None if nobody knows it.
        run_time: How long it runs; None where `left_out` says why.
        left_out: Why it was not timed; empty if it was.
    """

    name: str
    graph_digest: str
    parameters: int
    macs: int
    bytes: int | None
    run_time: RunTime | None
    left_out: str


def timed(
    asked: Sequence[Mapping[str, Any]], times: OriginalTimes, *, threads: int
) -> tuple[Original, ...]:
    """Times those originals whose time is not known.

    Args:
        asked: Each with the fields of `Original`, ``run_time`` as plain JSON; of one that is to be
            timed also ``graph`` and ``samples`` as paths.
        times: Keeps what was measured.
        threads: Originals that run at once, each on one thread.
    """
    with ThreadPoolExecutor(threads) as pool:
        return tuple(pool.map(lambda one: _timed(one, times), asked))


def _timed(asked: Mapping[str, Any], times: OriginalTimes) -> Original:
    facts = {name: asked[name] for name in ("name", "graph_digest", "parameters", "macs", "bytes")}
    if asked["run_time"] is not None:
        return Original(**facts, run_time=RunTime(**asked["run_time"]), left_out="")
    if "graph" not in asked:
        return Original(**facts, run_time=None, left_out=asked["left_out"])
    try:
        found = timed_once(
            facts["graph_digest"], Path(asked["graph"]), Path(asked["samples"]), times
        )
    except GraphError as error:
        # What it costs to do without it is no reason to refuse a pack.
        return Original(**facts, run_time=None, left_out=error.message)
    return Original(**facts, run_time=found, left_out="")


def timed_once(digest: str, graph: Path, samples: Path, times: OriginalTimes) -> RunTime:
    """How long a model runs, as it was measured before or as it is measured now.

    Args:
        digest: `sha256:<hex>` of its graph.
        graph: The graph.
        samples: Its samples.
        times: Keeps what was measured.

    Raises:
        GraphError: ONNX Runtime cannot run it.
    """
    kept = times.kept(digest)
    if kept is not None:
        return RunTime(**kept)
    found = _run_time(graph, samples)
    times.keep(digest, asdict(found))
    return found


def _run_time(graph: Path, samples: Path) -> RunTime:
    data = graph.read_bytes()
    with np.load(samples, allow_pickle=False) as arrays:
        # The samples of a model are its own: it is fed nothing that was made for the pack.
        fed = {name: arrays[name][:BATCH] for name in arrays.files if name != LABELS}
    return run_time(data, fed, None)


def compared(ensemble: ModelSize, originals: Sequence[Original]) -> dict[str, object]:
    """Originals and ensemble as plain JSON.

    The ensemble's run time is the sum of the originals', without their joint classifier, which
    takes next to none; None where one of them was not timed.

    Args:
        ensemble: The originals' with their joint classifier.
        originals: All of them.
    """
    spent = [one.run_time for one in originals if one.run_time is not None]
    whole = None
    if originals and len(spent) == len(originals):
        whole = RunTime(
            sum(one.single_seconds for one in spent), sum(one.batch_seconds for one in spent)
        )
    told = asdict(ensemble) | {
        "run_time": None if whole is None else asdict(whole),
        "run_time_is": "sum_of_originals",
    }
    return {"ensemble": told, "originals": [asdict(one) for one in originals]}
