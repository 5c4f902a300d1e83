"""How long a pack runs on one thread: instances and batching follow from it where it is served."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from onnxgraph.parity import Runner
from packer_svc.fusion.pack import PROBABILITIES
from packer_svc.fusion.probes import Inputs

BATCH = 8
REPEATS = 3

SLOW_SECONDS = 1.0
"""What takes longer is timed once: what a single run of it is off by does not matter."""


@dataclass(frozen=True)
class RunTime:
    """Medians of at most `REPEATS` runs by ONNX Runtime on this machine, in processor time.

    Other work on the machine does not count; a run on one thread waits for nothing else.

    Attributes:
        single_seconds: Of a batch of 1.
        batch_seconds: Of a batch of `BATCH`.
    """

    single_seconds: float
    batch_seconds: float


def run_time(
    graph: bytes, samples: Inputs, outputs: Sequence[str] | None = (PROBABILITIES,)
) -> RunTime:
    """Times a graph.

    Args:
        graph: A pack, or another graph.
        samples: What it is run on, one array per input by its name.
        outputs: What is asked of it; None for all that it has.

    Raises:
        GraphError: ONNX Runtime cannot run it.
    """
    runner = Runner(graph)
    asked = runner.outputs if outputs is None else outputs
    return RunTime(*(_median(runner, samples, batch, asked) for batch in (1, BATCH)))


def _median(runner: Runner, samples: Inputs, batch: int, outputs: Sequence[str]) -> float:
    feed = {name: np.resize(samples[name], (batch, *samples[name].shape[1:])) for name in samples}
    runner.run(feed, outputs)
    spent: list[float] = []
    while len(spent) < REPEATS and sum(spent) < SLOW_SECONDS:
        start = time.thread_time()
        runner.run(feed, outputs)
        spent.append(time.thread_time() - start)
    return statistics.median(spent)
