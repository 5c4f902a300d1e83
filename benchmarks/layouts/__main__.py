"""``python -m benchmarks.layouts``: run times of packs in every layout of their branches.

Times depend on sizes, not on what a network has learnt: weights are new and samples noise. Branches
have equal shapes, or equal ones by threes, as fragments of one origin have (``-mixed``). Writes
``layouts.json`` in ``--out``; an existing one is replaced.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import arguments as take
from benchmarks.layouts.packs import ARCHITECTURES, branches
from benchmarks.paper.command_line import write_measured
from benchmarks.paper.progress import Progress
from onnxgraph.parity import Runner
from onnxgraph.serialise import from_trusted_bytes
from onnxgraph.siblings.find import Layout
from packer_svc.fusion.layout.quickest import Target, plans, quickest
from packer_svc.fusion.precision import Precision

PROGRAM = "python -m benchmarks.layouts"
CHOSEN = "chosen"
"""What the packer takes."""

HOPELESS = 2.0
"""Times the quickest layout: what takes longer is not run with more samples."""

SESSIONS = 3
"""Times every graph is loaded: from one to the next a batch of 1 differs by some percent."""

SINGLES = 8
"""Times as many rounds of a batch of 1, whose runs are short."""

Inputs = Mapping[str, NDArray[np.generic]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Times packs and writes what they took.

    Args:
        arguments: Of the command line; those of the process where left out.

    Returns:
        The exit code of `write_measured`.
    """
    return write_measured(_parser(), arguments, _packs, "layouts.json")


def _packs(parsed: argparse.Namespace) -> dict[str, object]:
    return {"packs": _measured(parsed)}


def _parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(prog=PROGRAM, description=__doc__)
    add = found.add_argument
    add("--out", type=Path, required=True, help="folder of results")
    names = ",".join(ARCHITECTURES)
    read = take.listed(take.one_of(ARCHITECTURES))
    add("--architectures", type=read, default=names, help=f"of the branches: some of {names}")
    add("--branches", type=take.listed(take.count), default="3,10", help="numbers of branches")
    add("--batches", type=take.listed(take.count), default="1,8,32", help="samples of a run")
    add("--rounds", type=take.count, default=5, help="turns of a session; the least time is told")
    found.set_defaults(threads=1, force=True)
    return found


def _measured(parsed: argparse.Namespace) -> list[dict[str, object]]:
    names = parsed.architectures
    progress = Progress(len(names) * len(parsed.branches))
    found: list[dict[str, object]] = []
    for name in names:
        for number in parsed.branches:
            what = f"{number} branches of {name}"
            progress.tell(what)
            pack, inputs = branches(name, number)
            model = from_trusted_bytes(pack)
            laid = quickest(model, Target(Precision.FP32, inputs))
            graphs = {str(plan): graph for plan, graph in plans(model, pack).items()}
            graphs[CHOSEN] = laid.pack
            seconds = _by_batch(graphs, inputs, parsed.batches, parsed.rounds)
            told = {
                "architecture": name,
                "branches": number,
                "plan": laid.plan,
                "joined": [one.first for one in laid.layers if one.layout is not Layout.SEPARATE],
                "seconds": seconds,
                "regret": {
                    batch: round(times[CHOSEN] / min(times.values()), 4)
                    for batch, times in seconds.items()
                },
            }
            found.append(told)
            progress.finish(what)
            print(json.dumps(told))
    return found


def _by_batch(
    graphs: Mapping[str, bytes], inputs: Inputs, batches: Sequence[int], rounds: int
) -> dict[int, dict[str, float]]:
    """Processor time on one thread by batch and layout, the least of many runs in turns."""
    found: dict[int, dict[str, float]] = {batch: {} for batch in batches}
    for _ in range(SESSIONS):
        runners = {name: Runner(graph) for name, graph in graphs.items()}
        for batch in batches:
            told = found[batch]
            for name, seconds in _seconds(runners, inputs, batch, rounds).items():
                told[name] = min(seconds, told.get(name, seconds))
            for name in list(runners):
                if told[name] > HOPELESS * min(told.values()):
                    del runners[name]
    return found


def _seconds(
    runners: Mapping[str, Runner], inputs: Inputs, batch: int, rounds: int
) -> dict[str, float]:
    feed = {name: np.resize(value, (batch, *value.shape[1:])) for name, value in inputs.items()}
    least = dict.fromkeys(runners, float("inf"))
    for _ in range(max(rounds, SINGLES * rounds // batch)):
        for name, runner in runners.items():
            start = time.thread_time()
            runner.run(feed)
            least[name] = min(least[name], time.thread_time() - start)
    return least


if __name__ == "__main__":
    sys.exit(main())
