"""How well rankings of models agree with what the models really do."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

Table = NDArray[np.float64]
DEEPEST = 3
RESAMPLES = 2000


def hits(scores: Table, accuracies: Table) -> Table:
    """Whether a most accurate model is among the first k.

    Args:
        scores: `(tasks, models)`; of equal scores the earlier model comes first.
        accuracies: `(tasks, models)`.

    Returns:
        `(tasks, DEEPEST)` of 0 and 1.
    """
    order = np.argsort(-scores, axis=1, kind="stable")[:, :DEEPEST]
    best = accuracies >= accuracies.max(axis=1, keepdims=True) - 1e-12
    return np.maximum.accumulate(np.take_along_axis(best, order, axis=1), axis=1).astype(float)


def taus(scores: Table, accuracies: Table) -> NDArray[np.float64]:
    """Kendall's τ-b of scores and accuracies over the models, task by task; 0 where undefined."""
    found = [kendalltau(s, a).statistic for s, a in zip(scores, accuracies, strict=True)]
    return np.nan_to_num(np.array(found, dtype=np.float64))


def described(scores: Table, accuracies: Mapping[str, Table], seed: int) -> dict[str, object]:
    """The figures of a ranking, with 95 % intervals over tasks.

    Args:
        scores: `(tasks, models)`.
        accuracies: By truth: ``name`` is the one that is meant, others are told beside it.
        seed: Of the resampling.
    """
    found: dict[str, object] = {}
    for truth, table in accuracies.items():
        suffix = "" if truth == "name" else f"_by_{truth}"
        correct = hits(scores, table)
        for depth in range(DEEPEST):
            found |= _with_interval(f"precision_at_{depth + 1}{suffix}", correct[:, depth], seed)
        found |= _with_interval(f"kendall_tau{suffix}", taus(scores, table), seed)
    return found


def _with_interval(name: str, values: NDArray[np.float64], seed: int) -> dict[str, object]:
    random = np.random.default_rng(seed)
    drawn = values[random.integers(len(values), size=(RESAMPLES, len(values)))].mean(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return {name: float(values.mean()), f"{name}_interval": [float(low), float(high)]}
