"""How long specifying and searching take."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from benchmarks.market.search.pictures import Pictures
from benchmarks.market.search.stall import specified
from specification.index import Index
from specification.labelling import Labelling
from specification.model import Specification

CLASSES = 10
SAMPLES = 20
"""Of each of the classes: 200 together."""


def specification_seconds(part: Pictures) -> float:
    """Seconds from 200 pictures and a model's outputs to a specification, the median of three."""
    rows = part.rows(tuple(range(CLASSES)), SAMPLES)
    labels = np.repeat(np.arange(CLASSES), SAMPLES)
    outputs = np.full((len(labels), CLASSES), 0.01) + 0.9 * np.eye(CLASSES)[labels]
    labelling = Labelling(tuple(part.names[:CLASSES]), labels, outputs)
    seconds = []
    for seed in range(3):
        start = time.perf_counter()
        specified(part.pixels[rows], 32, labelling, seed)
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def search_seconds(
    originals: list[Specification], queries: list[Specification], count: int
) -> list[float]:
    """Seconds of each search of models in an index of many specifications.

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
    seconds = []
    for query in queries:
        start = time.perf_counter()
        index.models(query)
        seconds.append(time.perf_counter() - start)
    return seconds
