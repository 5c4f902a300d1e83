"""How long a pack runs on one thread: instances and batching follow from it where it is served."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from onnxgraph.parity import Runner
from packer_svc.fusion.pack import PROBABILITIES
from packer_svc.fusion.probes import Inputs

Name = TypeVar("Name", bound=str)

BATCH = 8
REPEATS = 3

SLOW_SECONDS = 1.0
"""What takes longer is timed once: what a single run of it is off by does not matter."""


@dataclass(frozen=True)
class RunTime:
    """Least of `REPEATS` runs by ONNX Runtime on this machine, in processor time.

    Other work on the machine does not count; a run on one thread waits for nothing else.

    Attributes:
        single_seconds: Of a batch of 1.
        batch_seconds: Of a batch of `BATCH`.
    """

    single_seconds: float
    batch_seconds: float


def run_time(
    graph: bytes | Runner, samples: Inputs, outputs: Sequence[str] | None = (PROBABILITIES,)
) -> RunTime:
    """Times a graph.

    Args:
        graph: A pack or another graph, or one that is loaded already.
        samples: What it is run on, one array per input by its name.
        outputs: What is asked of it; None for all that it has.

    Raises:
        GraphError: ONNX Runtime cannot run it.
    """
    runner = graph if isinstance(graph, Runner) else Runner(graph)
    asked = runner.outputs if outputs is None else outputs
    return run_times({"": runner}, samples, outputs=asked)[""]


def run_times(
    runners: Mapping[Name, Runner],
    samples: Inputs,
    *,
    outputs: Sequence[str] = (PROBABILITIES,),
    repeats: int = REPEATS,
) -> dict[Name, RunTime]:
    """Times several graphs in turns, so that what the machine does meanwhile falls on all of them.

    Args:
        runners: The graphs by any name.
        samples: What they are run on, one array per input by its name.
        outputs: What they are asked for.
        repeats: Runs of each; fewer where they take long.
    """
    single, batch = (_least(runners, _feed(samples, size), outputs, repeats) for size in (1, BATCH))
    return {name: RunTime(single[name], batch[name]) for name in runners}


def _feed(samples: Inputs, size: int) -> Inputs:
    return {name: np.resize(samples[name], (size, *samples[name].shape[1:])) for name in samples}


def _least(
    runners: Mapping[Name, Runner], feed: Inputs, outputs: Sequence[str], repeats: int
) -> dict[Name, float]:
    """The first run of a size, which sets memory aside, is never the least."""
    least = dict.fromkeys(runners, float("inf"))
    begun = time.thread_time()
    for _ in range(repeats):
        for name, runner in runners.items():
            start = time.thread_time()
            runner.run(feed, outputs)
            least[name] = min(least[name], time.thread_time() - start)
        if time.thread_time() - begun > SLOW_SECONDS:
            break
    return least
