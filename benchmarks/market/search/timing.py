"""How long specifying and searching take."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from benchmarks.market.search.pictures import Pictures
from benchmarks.market.search.stall import specified
from specification.index import Index
from specification.labelling import Labelling
from specification.model import Specification

CLASSES = 10
SAMPLES = 20
"""Of each of the classes: 200 together."""


@dataclass(frozen=True)
class Seconds:
    """How long something took.

    Attributes:
        wall: By the clock on the wall.
        processor: Of this process, all its threads: other work does not change it.
    """

    wall: float
    processor: float


def timed(work: Callable[[], object]) -> Seconds:
    """Does some work once."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return Seconds(time.perf_counter() - wall, time.process_time() - processor)


def specification_seconds(part: Pictures) -> list[Seconds]:
    """From 200 pictures and a model's outputs to a specification, three times."""
    rows = part.rows(tuple(range(CLASSES)), SAMPLES)
    labels = np.repeat(np.arange(CLASSES), SAMPLES)
    outputs = np.full((len(labels), CLASSES), 0.01) + 0.9 * np.eye(CLASSES)[labels]
    labelling = Labelling(tuple(part.names[:CLASSES]), labels, outputs)
    return [timed(partial(specified, part.pixels[rows], 32, labelling, seed)) for seed in range(3)]


def search_seconds(
    originals: list[Specification], queries: list[Specification], count: int
) -> list[Seconds]:
    """Each search of models in an index of many specifications.

    Args:
        originals: They are repeated, with points shaken, until there are enough.
        queries: Tasks.
        count: Specifications in the index.
    """
    random = np.random.default_rng(0)
    index = Index()
    for number in range(count):
        one = originals[number % len(originals)]
        shaken = one.points + 0.3 * random.normal(size=one.points.shape)
        index.add(f"model-{number:05d}", replace(one, points=shaken.astype(np.float32)))
    index.models(queries[0])
    return [timed(partial(index.models, query)) for query in queries]
