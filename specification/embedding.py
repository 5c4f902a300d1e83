"""The classes of a specification as an index keeps and compares them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from specification.kernel import kernel
from specification.model import Floats, Places, Specification

FARTHEST: Final = 6e4
"""No number of a point is larger where it is compared: half precision holds no more."""

Points = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Units:
    """What points are brought to before they are compared: ``(value - offset) / scale``.

    Attributes:
        offset: `(D,)`.
        scale: `(D,)`.
    """

    offset: Floats
    scale: Floats

    def of(self, found: Specification) -> Floats:
        """A specification's points in these units `(m, D)`."""
        points = (found.points * found.scale + found.offset - self.offset) / self.scale
        return np.asarray(np.clip(points, -FARTHEST, FARTHEST))


@dataclass(frozen=True, eq=False)
class Embedding:
    """Classes as weighted points; samples without labels are one class.

    Attributes:
        points: `(m, D)`, float32 in a query and float16 in an index, class by class.
        weights: `(m,)`, those of a class add up to 1.
        starts: Where the points of each class begin `(K,)`.
        means: The weighted mean of each class `(K, D)` float32.
        gram: ⟨μ, μ′⟩ of its classes' kernel means `(K, K)`.
        noise: The squared MMD that chance alone makes of so few samples `(K,)`.
        shares: The classes' shares of the samples `(K,)`.
    """

    points: Points
    weights: NDArray[np.float32]
    starts: NDArray[np.int64]
    means: NDArray[np.float32]
    gram: Floats
    noise: Floats
    shares: Floats

    @property
    def classes(self) -> int:
        """Their number."""
        return len(self.starts)


def embed(found: Specification, units: Units, kind: type[np.floating]) -> Embedding:
    """Brings a specification into the form that is compared.

    Args:
        found: Any valid one.
        units: What it is brought to.
        kind: In which numbers its points are kept.
    """
    points = units.of(found)
    order = np.argsort(found.point_classes, kind="stable")
    points, weights, classes = points[order], found.weights[order], found.point_classes[order]
    starts = np.flatnonzero(np.r_[True, classes[1:] != classes[:-1]])
    shares = np.add.reduceat(weights, starts)
    counts = np.diff(np.r_[starts, len(weights)])
    # A class without weight cannot come of `make`: its points count the same then.
    inside = np.where(
        np.repeat(shares, counts) > 0,
        weights / np.repeat(np.maximum(shares, 1e-300), counts),
        1.0 / np.repeat(counts, counts),
    )
    samples = found.class_samples if found.labelled else np.array([found.samples])
    return Embedding(
        points=points.astype(kind),
        weights=inside.astype(np.float32),
        starts=starts,
        means=np.add.reduceat(points * inside[:, None], starts).astype(np.float32),
        gram=_between(points, inside, starts, points, inside, starts),
        noise=found.spreads / samples,
        shares=shares / shares.sum(),
    )


def inner_products(left: Embedding, right: Sequence[Embedding]) -> Floats:
    """⟨μ, μ′⟩ of one's kernel means and those of several others, side by side `(K, ΣK′)`."""
    sizes = np.cumsum([0, *(len(one.weights) for one in right)])
    starts = [one.starts + first for one, first in zip(right, sizes, strict=False)]
    return _between(
        left.points,
        left.weights,
        left.starts,
        np.concatenate([one.points for one in right]),
        np.concatenate([one.weights for one in right]),
        np.concatenate(starts),
    )


def _between(
    left: Points,
    left_weights: NDArray[np.floating],
    left_starts: Places,
    right: Points,
    right_weights: NDArray[np.floating],
    right_starts: Places,
) -> Floats:
    values = kernel(left.astype(np.float32), right.astype(np.float32))
    rows = np.add.reduceat(values * left_weights[:, None], left_starts, axis=0)
    found = np.add.reduceat(rows * right_weights[None], right_starts, axis=1)
    return np.asarray(found, dtype=np.float64)
