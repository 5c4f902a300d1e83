"""Means and intervals of accuracies over targets, draws, seeds and test examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Correct = Sequence[NDArray[np.bool_]]
"""By target, whether each test example was classified rightly: `(draws, n)`."""

REPLICATES = 2_000
"""Resamplings of an interval."""

CHUNK = 500
"""Resamplings computed at once."""


@dataclass(frozen=True)
class Difference:
    """A paired difference of two accuracies.

    Attributes:
        mean: Mean over seeds, draws and targets.
        low: Lower end of its 95 % interval.
        high: Upper end.
    """

    mean: float
    low: float
    high: float


def target_means(correct: Correct) -> NDArray[np.float64]:
    """The accuracy on each target, over all draws, `(targets,)`."""
    return np.array([part.mean() for part in correct])


def accuracy(correct: Correct) -> float:
    """The mean over targets."""
    return float(target_means(correct).mean())


def paired_difference(
    ours: Sequence[Correct], theirs: Sequence[Correct], seed: int = 0
) -> Difference:
    """The mean difference and its interval by a hierarchical bootstrap.

    Every replicate draws seeds, and within each of them draws of the samples, with replacement.
    Test examples are the same for all seeds and draws, so a replicate draws them once, within each
    target. Percentile interval. Factors of which there is only one (one seed, one draw) do not
    vary, so the interval is then over the others alone.

    Args:
        ours: By seed, the right answers of one method.
        theirs: The same seeds, draws and examples by another.
        seed: Of the resampling.

    Raises:
        ValueError: The two were not run on the same draws and examples.
    """
    gaps = [_gaps(left, right) for left, right in zip(ours, theirs, strict=True)]
    if len({len(seed_gaps) for seed_gaps in gaps}) != 1:
        raise ValueError("seeds were run on different targets")
    random = np.random.default_rng(seed)
    mean = float(np.mean([_over_targets(part).mean() for part in gaps]))
    replicates = np.concatenate(
        [_replicates(gaps, random, CHUNK) for _ in range(REPLICATES // CHUNK)]
    )
    low, high = np.quantile(replicates, (0.025, 0.975))
    return Difference(mean, float(low), float(high))


def _gaps(ours: Correct, theirs: Correct) -> list[NDArray[np.float32]]:
    """By target, right answers of ours less right answers of theirs, `(draws, n)`."""
    gaps = []
    for left, right in zip(ours, theirs, strict=True):
        if left.shape != right.shape:
            raise ValueError(f"{left.shape} and {right.shape} are of different draws or examples")
        gaps.append(left.astype(np.float32) - right.astype(np.float32))
    return gaps


def _over_targets(gaps: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
    """The mean difference of every draw `(draws,)`."""
    means = np.stack([part.mean(axis=1, dtype=np.float64) for part in gaps])
    over: NDArray[np.float64] = means.mean(axis=0)
    return over


def _replicates(
    gaps: Sequence[Sequence[NDArray[np.float32]]], random: np.random.Generator, count: int
) -> NDArray[np.float64]:
    """Resampled mean differences `(count,)`."""
    by_seed = [np.zeros((len(parts[0]), count)) for parts in gaps]
    targets = len(gaps[0])
    for target in range(targets):
        examples = gaps[0][target].shape[1]
        weights = random.multinomial(examples, np.full(examples, 1.0 / examples), size=count)
        shares = (weights / (examples * targets)).astype(np.float32).T
        for number, parts in enumerate(gaps):
            by_seed[number] += parts[target] @ shares
    places = np.arange(count)
    summed = np.zeros(count)
    for _ in gaps:
        # One place among the resampled seeds: every replicate has a seed there, and draws of its
        # own.
        seeds = random.integers(0, len(gaps), size=count)
        for number, total in enumerate(by_seed):
            drawn = random.integers(0, len(total), size=(len(total), count))
            summed += np.where(seeds == number, total[drawn, places].mean(axis=0), 0.0)
    return summed / len(gaps)
