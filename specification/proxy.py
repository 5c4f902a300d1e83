"""The linear proxy: what a model would say of a point of the space.

W = argmin CE(ZW, Y) + KL(f(X) ‖ ZW) and a ridge, f(X) the model's probabilities; without them the
labels alone. Convex, so the same for everybody who has the samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax

from specification.model import Floats, Places

RIDGE: Final = 1e-3
"""Weight of ‖W‖² against the mean loss of a sample."""
STEPS: Final = 200


@dataclass(frozen=True, eq=False)
class Proxy:
    """A linear classifier of points.

    Attributes:
        weights: W `(D, K)`.
        bias: `(K,)`.
    """

    weights: Floats
    bias: Floats


def fit_proxy(points: Floats, labels: Places, outputs: Floats | None, classes: int) -> Proxy:
    """Fits W.

    Args:
        points: Z `(N, D)`.
        labels: `(N,)`.
        outputs: The model's probabilities `(N, K)`, or None for a user's samples.
        classes: K.
    """
    targets = np.eye(classes)[labels]
    if outputs is not None:
        targets = (targets + outputs) / 2
    centre = points.mean(axis=0)
    # With fewer samples than dimensions W lies in what the samples span.
    left, sizes, axes = np.linalg.svd(points - centre, full_matrices=False)
    kept = sizes > 1e-9 * max(float(sizes.max(initial=0.0)), 1e-12)
    inside = left[:, kept] * sizes[kept]

    def loss(flat: Floats) -> tuple[float, Floats]:
        w = flat.reshape(inside.shape[1] + 1, classes)
        logs = log_softmax(inside @ w[:-1] + w[-1], axis=1)
        error = (np.exp(logs) - targets) / len(targets)
        gradient = np.vstack([inside.T @ error + RIDGE * w[:-1], error.sum(axis=0)])
        value = -(targets * logs).sum() / len(targets) + RIDGE / 2 * (w[:-1] ** 2).sum()
        return float(value), gradient.ravel()

    start = np.zeros((inside.shape[1] + 1) * classes)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": STEPS}).x
    w = found.reshape(-1, classes)
    weights = axes[kept].T @ w[:-1]
    return Proxy(weights, w[-1] - centre @ weights)
