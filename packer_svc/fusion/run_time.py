"""How long a pack runs on one thread: instances and batching follow from it where it is served."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TypeVar

import numpy as np

from onnxgraph.parity import Runner
from packer_svc.fusion.pack import PROBABILITIES
from packer_svc.fusion.probes import Inputs
from packer_svc.fusion.turns import FEW, MOST, least_times

Name = TypeVar("Name", bound=str)

BATCH = 8


@dataclass(frozen=True)
class RunTime:
    """The least of some runs by ONNX Runtime on this machine, in processor time.

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
    times = run_times({"": runner}, samples, (1, BATCH), outputs=asked)
    return RunTime(times[1][""], times[BATCH][""])


def run_times(
    runners: Mapping[Name, Runner],
    samples: Inputs,
    batches: Sequence[int],
    *,
    outputs: Sequence[str] = (PROBABILITIES,),
    turns: Mapping[int, tuple[int, int]] = MappingProxyType({}),
) -> dict[int, dict[Name, float]]:
    """Seconds of several graphs by batch, in turns.

    Args:
        runners: The graphs by any name.
        samples: What they are run on, one array per input by its name.
        batches: Samples of a run.
        outputs: What they are asked for.
        turns: Few and most as of `least_times`, by batch; its own where left out.
    """
    found = {}
    for size in batches:
        feed = _feed(samples, size)
        runs = {name: partial(runner.run, feed, outputs) for name, runner in runners.items()}
        few, most = turns.get(size, (FEW, MOST))
        found[size] = least_times(runs, few=few, most=most)
    return found


def _feed(samples: Inputs, size: int) -> Inputs:
    return {name: np.resize(samples[name], (size, *samples[name].shape[1:])) for name in samples}
