"""One pack that every method is asked for, and what a method makes of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.paper.bench import Bench
from benchmarks.paper.experiment import trial_of
from benchmarks.paper.samples import Draw
from benchmarks.paper.tasks import Classes
from benchmarks.paper.trial import Trial

Labels = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Case:
    """One pack of one draw.

    Attributes:
        bench: Origins and data.
        draw: The samples of the market.
        target: The wanted classes.
        trial: What a method is given for them; its test examples make up no choice.
        labels: The places of the test examples' classes `(n,)`.
    """

    bench: Bench
    draw: Draw
    target: Classes
    trial: Trial
    labels: Labels

    @classmethod
    def of(cls, bench: Bench, draw: Draw, target: Classes) -> Case:
        """The case of a target."""
        trial, labels = trial_of(bench, draw, target)
        return cls(bench, draw, target, trial, labels)

    @property
    def origins(self) -> tuple[int, ...]:
        """The place in the task of each class's origin."""
        return tuple(source.origin for source in self.bench.task.sources(self.target))


@dataclass(frozen=True, eq=False)
class Made:
    """What a method made of a case.

    Attributes:
        guesses: The place of each test example's class `(n,)`.
        parameters: Of what is served, its head included.
        macs: Multiply-accumulates per example.
        seconds: Of the processor, for making it, without the answers to test examples.
    """

    guesses: Labels
    parameters: int
    macs: int
    seconds: float


@dataclass
class Clock:
    """Adds up the seconds of the processor that go by inside of `running`."""

    seconds: float = field(default=0.0)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Counts what is done inside."""
        start = time.process_time()
        try:
            yield
        finally:
            self.seconds += time.process_time() - start
