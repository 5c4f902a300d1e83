"""Inputs on which a pack is compared with its parts: samples, random and extreme ones."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

AnyArray = npt.NDArray[np.generic]
Inputs = Mapping[str, AnyArray]
Labels = npt.NDArray[np.int64]

SAMPLES = "samples"
"""The name of the probe that is the samples themselves."""

BATCHES = (1, 2, 7)
"""Batches at which a pack is run: one, even, odd."""

MOST_REQUESTS = 2
"""Of the odd batch: all extreme inputs are among them."""

LARGE_BATCH = 64
"""A batch of the samples alone: it costs most, and differs in nothing but size."""

FAR = 10.0
"""How far beyond their range the extreme floating inputs go, in ranges."""


@dataclass(frozen=True)
class Probe:
    """Inputs of one kind, and which of them are run at which batch.

    Attributes:
        name: `SAMPLES`, "random" or "extreme".
        inputs: One array per graph input by its name.
        rows_by_batch: For each batch the rows to run, spread evenly.
    """

    name: str
    inputs: Inputs
    rows_by_batch: Mapping[int, Labels]


def probes(samples: Inputs, seed: int) -> Iterator[Probe]:
    """The samples, then inputs drawn evenly from each input's range, then extreme ones.

    Args:
        samples: One array per graph input by its name, first axis the sample.
        seed: Of the random inputs.
    """
    count = len(next(iter(samples.values())))
    large = {LARGE_BATCH: spread(count, LARGE_BATCH)}
    yield Probe(SAMPLES, samples, _rows(count) | large)
    generator = np.random.default_rng(seed)
    drawn = max(BATCHES)
    random = {name: _random(values, drawn, generator) for name, values in samples.items()}
    yield Probe("random", random, _rows(drawn))
    ends = {name: _extreme(values, generator) for name, values in samples.items()}
    rows = max(len(values) for values in ends.values())
    extreme = {name: values[np.arange(rows) % len(values)] for name, values in ends.items()}
    yield Probe("extreme", extreme, _rows(rows))


def _rows(count: int) -> dict[int, Labels]:
    """Rows of `count` by batch: one request each, of the largest as many as show nearly all."""
    *small, largest = BATCHES
    many = largest * min(MOST_REQUESTS, -(-count // largest))
    return {batch: spread(count, batch) for batch in small} | {largest: spread(count, many)}


def spread(count: int, wanted: int) -> Labels:
    """`wanted` of `count` indices, evenly spaced, each at most once more often than another."""
    if wanted <= count:
        return np.linspace(0, count - 1, wanted).round().astype(np.int64)
    return np.resize(np.arange(count), wanted)


def _random(values: AnyArray, rows: int, generator: np.random.Generator) -> AnyArray:
    shape = (rows, *values.shape[1:])
    low, high = values.min(), values.max()
    if np.issubdtype(values.dtype, np.floating):
        return generator.uniform(low, high, shape).astype(values.dtype)
    return generator.integers(low, high, shape, endpoint=True).astype(values.dtype)


def _extreme(values: AnyArray, generator: np.random.Generator) -> AnyArray:
    """All lowest, all highest, zero, each element at one end, and far beyond the range.

    Integers stay within the range that the samples show: token numbers beyond a vocabulary are no
    input.
    """
    low, high = values.min(), values.max()
    shape = values.shape[1:]
    ends = np.where(generator.random((2, *shape)) < 0.5, low, high)
    rows = [np.full(shape, low), np.full(shape, high), *ends]
    if np.issubdtype(values.dtype, np.floating):
        span = float(high) - float(low) or 1.0
        rows += [
            np.zeros(shape),
            np.full(shape, high + FAR * span),
            np.full(shape, low - FAR * span),
        ]
        rows += [(end - float(low)) * 2 * FAR + float(low) - FAR * span for end in ends]
    return np.stack(rows).astype(values.dtype)
