"""Reduced kernel mean embedding: few weighted points in place of many samples.

min over U and β ≥ 0, Σβ = 1 of ‖(1/n)Σ k(z_i, ·) − Σ β_j k(u_j, ·)‖² (Wu et al., 2021): a start by
k-means, then steps on U and an exact β in turn. No point may lie near a sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.optimize import nnls

from specification.errors import SpecificationError, SpecificationReason
from specification.kernel import WIDTH, kernel, squared_distances
from specification.model import Floats

ROUNDS: Final = 10
LLOYD_STEPS: Final = 20
PUSHES: Final = 100
STRAIGHT: Final = 5
"""Pushes straight away from the nearest sample, before they go anywhere."""
_SUM: Final = 1e3
"""Weight of the row that holds Σβ to 1."""
_RIDGE: Final = 1e-8


@dataclass(frozen=True, eq=False)
class ReducedSet:
    """What stands for the samples.

    Attributes:
        points: U `(m, D)`.
        weights: β `(m,)`.
    """

    points: Floats
    weights: Floats


def reduce(samples: Floats, count: int, bound: float, random: np.random.Generator) -> ReducedSet:
    """Finds a reduced set.

    Args:
        samples: `(n, D)`.
        count: Points at most.
        bound: No point is nearer to a sample than this.
        random: Of directions away from samples.

    Returns:
        At most `count` points with their weights.

    Raises:
        SpecificationError: SPECIFICATION_TOO_NEAR, no place for a point was found.
    """
    points = _start(samples, count)
    weights = fitted_weights(points, samples)
    for _ in range(ROUNDS):
        points = _moved(points, weights, samples)
        weights = fitted_weights(points, samples)
    # The kernel follows the mean above all: what few points miss of it is put right at once.
    points = points + (samples.mean(axis=0) - weights @ points)
    return ReducedSet(pushed_away(points, samples, bound, random), weights)


def fitted_weights(points: Floats, samples: Floats) -> Floats:
    """The best β ≥ 0 with Σβ = 1 for given points `(m, D)`."""
    own = kernel(points, points) + _RIDGE * np.eye(len(points))
    target = kernel(points, samples).mean(axis=1)
    # β'Kβ − 2β'b is ‖L'β − L⁻¹b‖² but for a constant, K = LL'.
    lower = np.linalg.cholesky(own)
    rows = np.vstack([lower.T, np.full((1, len(points)), _SUM)])
    wanted = np.append(np.linalg.solve(lower, target), _SUM)
    found, _ = nnls(rows, wanted)
    return np.asarray(found / found.sum())


def embedding_error(points: Floats, weights: Floats, samples: Floats) -> float:
    """The squared distance of the two embeddings."""
    own = weights @ kernel(points, points) @ weights
    cross = weights @ kernel(points, samples).mean(axis=1)
    return float(own - 2 * cross + kernel(samples, samples).mean())


def pushed_away(
    points: Floats, samples: Floats, bound: float, random: np.random.Generator
) -> Floats:
    """Moves points that are nearer than `bound` to a sample away from it.

    Raises:
        SpecificationError: SPECIFICATION_TOO_NEAR, samples are all around.
    """
    points = points.copy()
    for place in range(len(points)):
        for push in range(PUSHES):
            apart = points[place] - samples
            distance = np.sqrt((apart**2).sum(axis=1))
            nearest = int(distance.argmin())
            if distance[nearest] >= bound:
                break
            away = apart[nearest]
            if push >= STRAIGHT or distance[nearest] <= 1e-3 * bound:
                # Between two samples it would go to and fro: farther each time, anywhere.
                away = random.normal(size=points.shape[1])
            length = bound * (1.01 + max(0, push - STRAIGHT))
            points[place] = samples[nearest] + length * away / np.linalg.norm(away)
        else:
            raise SpecificationError(
                SpecificationReason.SPECIFICATION_TOO_NEAR,
                f"a point stays within {bound:.3g} of some sample",
                advice="Give more samples, or samples that differ more.",
            )
    return points


def nearest_distance(points: Floats, samples: Floats) -> float:
    """The smallest distance from a point to a sample."""
    apart = ((points[:, None] - samples[None]) ** 2).sum(axis=2)
    return float(np.sqrt(apart.min()))


def _start(samples: Floats, count: int) -> Floats:
    """Centres of k-means that begins with samples as far apart as can be `(≤ count, D)`."""
    centres = np.asarray(samples.mean(axis=0, keepdims=True))
    for _ in range(count - 1):
        apart = squared_distances(samples, centres).min(axis=1)
        if not apart.max() > 0:
            break
        centres = np.vstack([centres, samples[apart.argmax()]])
    for _ in range(LLOYD_STEPS):
        nearest = squared_distances(samples, centres).argmin(axis=1)
        centres = np.stack(
            [
                samples[nearest == place].mean(axis=0) if (nearest == place).any() else centre
                for place, centre in enumerate(centres)
            ]
        )
    return np.asarray(centres)


def _moved(points: Floats, weights: Floats, samples: Floats) -> Floats:
    """One step down the gradient on U, halved until the error falls."""
    gamma = WIDTH / samples.shape[1]
    near, own = kernel(points, samples) / len(samples), kernel(points, points) * weights[None]
    pull = near @ samples - near.sum(axis=1, keepdims=True) * points
    pull -= own @ points - own.sum(axis=1, keepdims=True) * points
    direction = 4 * gamma * weights[:, None] * pull
    before = embedding_error(points, weights, samples)
    rate = 1.0 / (4 * gamma * max(float(weights.max()), 1e-9))
    for _ in range(12):
        moved = points + rate * direction
        if embedding_error(moved, weights, samples) < before:
            return np.asarray(moved)
        rate /= 2
    return points
