"""How well features tell classes apart, by leave-one-out and in closed form."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

RIDGES = (1e-3, 1e-2, 1e-1, 1.0)
"""Ridges as shares of the mean variance; the best by leave-one-out counts."""


def left_unexplained(features: Array, labels: Labels) -> float:
    """What ridge regression of the classes misses on samples that it did not see.

    Each sample is predicted by a regression on all others, which needs no second fit: the residual
    of the whole fit over one less the sample's leverage (Allen, 1974).

    Args:
        features: `(n, C)`.
        labels: The place of each sample's class, `(n,)`.

    Returns:
        The share of the variance of the classes' indicators that is missed; 0 for features that
        tell all samples' classes, about 1 for features that tell nothing.
    """
    scale = features.std(axis=0)
    varies = scale > 1e-9 * np.abs(features).max(initial=1e-300)
    centred = (features - features.mean(axis=0))[:, varies] / scale[varies]
    wanted = np.eye(int(labels.max()) + 1)[labels]
    wanted = wanted - wanted.mean(axis=0)
    spread = float((wanted**2).sum())
    if not varies.any() or spread == 0:
        return 1.0
    vectors, values, _ = np.linalg.svd(centred, full_matrices=False)
    squares = values**2
    found = [
        _missed(vectors, squares / (squares + ridge * squares.sum() / len(features)), wanted)
        for ridge in RIDGES
    ]
    return min(min(found) / spread, 1.0)


def _missed(vectors: Array, kept: Array, wanted: Array) -> float:
    """The squared leave-one-out residuals; the mean is one more column, told exactly."""
    leverage = (vectors**2 * kept).sum(axis=1) + 1 / len(vectors)
    residual = wanted - (vectors * kept) @ (vectors.T @ wanted)
    return float(((residual / np.maximum(1 - leverage, 1e-6)[:, None]) ** 2).sum())
