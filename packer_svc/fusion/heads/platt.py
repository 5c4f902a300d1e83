"""Scores as probabilities, by logistic regression on one number."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_STEPS = 100
_TOLERANCE = 1e-10


@dataclass(frozen=True)
class Platt:
    """σ(slope·score + offset).

    Attributes:
        slope: At least 0: a score that is worse than chance says nothing, and is not turned round.
        offset: Of the logit.
    """

    slope: float
    offset: float

    def __call__(self, scores: Array) -> Array:
        """Probabilities of the shape of `scores`."""
        logits = np.clip(self.slope * scores + self.offset, -700.0, 700.0)
        found: Array = 1.0 / (1.0 + np.exp(-logits))
        return found


def fit_platt(negatives: Array, positives: Array) -> Platt:
    """Fits the calibration by least log loss, at even odds of both sides (Platt 1999).

    Targets are 1/(n + 2) and (m + 1)/(m + 2): without that the slope is infinite as soon as both
    sides are apart.

    Args:
        negatives: Scores `(n,)`, at least one.
        positives: Scores `(m,)`, at least one.
    """
    scores = np.concatenate([negatives, positives])
    n, m = len(negatives), len(positives)
    targets = np.repeat([1.0 / (n + 2), (m + 1.0) / (m + 2)], [n, m])
    weights = np.repeat([0.5 / n, 0.5 / m], [n, m])
    centre, spread = float(weights @ scores), float(scores.std())
    if spread == 0.0:
        return Platt(0.0, 0.0)
    slope, offset = _newton((scores - centre) / spread, targets, weights)
    if slope <= 0.0:
        return Platt(0.0, 0.0)
    return Platt(slope / spread, offset - slope * centre / spread)


def _newton(scores: Array, targets: Array, weights: Array) -> tuple[float, float]:
    """Slope and offset of the least weighted log loss, which is convex; steps are halved."""
    design = np.stack([scores, np.ones_like(scores)], axis=1)

    def loss(point: Array) -> float:
        logits = design @ point
        return float(weights @ (np.logaddexp(0.0, logits) - targets * logits))

    point = np.zeros(2)
    for _ in range(_STEPS):
        shares = Platt(1.0, 0.0)(design @ point)
        gradient = design.T @ (weights * (shares - targets))
        curvature = (design.T * (weights * shares * (1.0 - shares))) @ design
        step = np.linalg.solve(curvature + 1e-12 * np.eye(2), gradient)
        size = 1.0
        while loss(point - size * step) > loss(point) and size > _TOLERANCE:
            size /= 2
        point = point - size * step
        if float(np.abs(size * step).max()) < _TOLERANCE:
            break
    return float(point[0]), float(point[1])
