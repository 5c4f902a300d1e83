"""How long a pack runs on one thread: instances and batching follow from it where it is served."""

import statistics
import time
from dataclasses import dataclass

import numpy as np

from onnxgraph.parity import Runner
from packer_svc.fusion.pack import PROBABILITIES
from packer_svc.fusion.probes import Inputs

BATCH = 8
REPEATS = 3


@dataclass(frozen=True)
class RunTime:
    """Medians of `REPEATS` runs by ONNX Runtime on this machine, in processor time.

    Other work on the machine does not count; a run on one thread waits for nothing else.

    Attributes:
        single_seconds: Of a batch of 1.
        batch_seconds: Of a batch of `BATCH`.
    """

    single_seconds: float
    batch_seconds: float


def run_time(graph: bytes, samples: Inputs) -> RunTime:
    """Times a graph.

    Args:
        graph: A pack.
        samples: What it is run on, one array per input by its name.
    """
    runner = Runner(graph)
    return RunTime(_median(runner, samples, 1), _median(runner, samples, BATCH))


def _median(runner: Runner, samples: Inputs, batch: int) -> float:
    feed = {name: np.resize(samples[name], (batch, *samples[name].shape[1:])) for name in samples}
    runner.run(feed, (PROBABILITIES,))
    spent = []
    for _ in range(REPEATS):
        start = time.thread_time()
        runner.run(feed, (PROBABILITIES,))
        spent.append(time.thread_time() - start)
    return statistics.median(spent)
