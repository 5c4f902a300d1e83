"""Inputs on which a pack is compared with its parts: samples, random and extreme ones."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

AnyArray = npt.NDArray[np.generic]
Inputs = Mapping[str, AnyArray]
Labels = npt.NDArray[np.int64]

BATCHES = (1, 2, 7, 64)
"""Batches at which a pack is run: one, even, odd with a shorter rest, large."""

REQUESTS = 4
"""Requests per batch; the large one sees all samples."""

FAR = 10.0
"""How far beyond their range the extreme floating inputs go, in ranges."""


@dataclass(frozen=True)
class Probe:
    """Inputs of one kind, and which of them are run at which batch.

    Attributes:
        name: "samples", "random" or "extreme".
        inputs: One array per graph input by its name.
        rows_by_batch: For each batch the rows to run, at least one full batch.
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
    largest = max(BATCHES)
    whole = np.resize(np.arange(count), max(count, largest))
    yield Probe("samples", samples, _rows(count) | {largest: whole})
    generator = np.random.default_rng(seed)
    random = {name: _random(values, largest, generator) for name, values in samples.items()}
    yield Probe("random", random, _rows(largest))
    ends = {name: _extreme(values, generator) for name, values in samples.items()}
    rows = max(len(values) for values in ends.values())
    extreme = {name: values[np.arange(rows) % len(values)] for name, values in ends.items()}
    yield Probe("extreme", extreme, _rows(rows))


def spread(count: int, wanted: int) -> Labels:
    """`wanted` of `count` indices, evenly spaced, each at most once more often than another."""
    if wanted <= count:
        return np.linspace(0, count - 1, wanted).round().astype(np.int64)
    return np.resize(np.arange(count), wanted)


def _rows(count: int) -> dict[int, Labels]:
    return {batch: spread(count, max(batch, min(count, REQUESTS * batch))) for batch in BATCHES}


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
