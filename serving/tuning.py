"""How many instances, threads and how long a batching window a model gets, by its run time."""

from __future__ import annotations

from dataclasses import dataclass

from serving.model_config import DynamicBatching, InstanceGroup, InstanceKind, Threads

LONG_SECONDS = 0.1
"""A single sample that takes longer is worth all cores: a lone client would wait too long."""

WINDOW_SHARE = 0.05
"""Of a single sample's run time: what a lone client may wait for company that does not come. Half
of the tenth that it may lose at most, for the run time was measured elsewhere."""

LEAST_GAIN = 0.2
"""What a batch has to save of each sample's time before waiting for one is worth anything."""

MOST_WINDOW_SECONDS = 0.005
BATCH = 8


@dataclass(frozen=True)
class RunTime:
    """What a model's runs take on one thread.

    Attributes:
        single: Seconds of a batch of 1.
        batch: Seconds of a batch of `BATCH`.
    """

    single: float
    batch: float


@dataclass(frozen=True)
class Tuning:
    """How a model is run.

    Attributes:
        instances: Copies of it, and where.
        threads: Of each copy.
        batching: How requests are gathered.
    """

    instances: InstanceGroup
    threads: Threads
    batching: DynamicBatching


UNTUNED = Tuning(InstanceGroup(), Threads(), DynamicBatching())
"""For a model whose run time nobody knows: one instance, and nobody waits."""


def tuned(time: RunTime, cores: int) -> Tuning:
    """The rule: one thread and as many instances as cores, unless a single sample takes long.

    Threads inside an operator cost more than they win on small models; instances do not. Requests
    that queue up behind busy instances are batched whatever the window is.

    Args:
        time: The model's run time on a core like these.
        cores: What it may use, at least 1.
    """
    long = time.single > LONG_SECONDS
    gain = 1 - time.batch / (BATCH * time.single)
    window = min(WINDOW_SHARE * time.single, MOST_WINDOW_SECONDS) if gain >= LEAST_GAIN else 0.0
    return Tuning(
        InstanceGroup(InstanceKind.CPU, 1 if long else cores),
        Threads(intra_op=cores if long else 1),
        DynamicBatching(max_queue_delay_microseconds=round(1e6 * window)),
    )
