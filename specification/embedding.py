"""The classes of a specification as an index keeps and compares them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

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
        points = found.points
        # Those of pictures and text are the same everywhere.
        if "tensor" in found.space.kind:
            points = (points * found.scale + found.offset - self.offset) / self.scale
        return np.asarray(np.clip(points, -FARTHEST, FARTHEST))


class Weighted(Protocol):
    """Classes as weighted points, as an `Embedding` has them."""

    @property
    def points(self) -> Points:
        """`(m, D)`, class by class."""
        ...

    @property
    def weights(self) -> NDArray[np.float32]:
        """`(m,)`, those of a class add up to 1."""
        ...

    @property
    def starts(self) -> NDArray[np.int64]:
        """Where the points of each class begin `(K,)`."""
        ...


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
    starts = np.concatenate([[0], 1 + np.flatnonzero(classes[1:] != classes[:-1])])
    shares = np.add.reduceat(weights, starts)
    counts = np.diff(starts, append=len(weights))
    # A class without weight cannot come of `make`: its points count the same then.
    inside = np.where(
        np.repeat(shares, counts) > 0,
        weights / np.repeat(np.maximum(shares, 1e-300), counts),
        1.0 / np.repeat(counts, counts),
    )
    samples = found.class_samples if found.labelled else np.array([found.samples])
    mixing = np.zeros((len(starts), len(points)))
    mixing[np.repeat(np.arange(len(starts)), counts), np.arange(len(points))] = inside
    return Embedding(
        points=points.astype(kind),
        weights=inside.astype(np.float32),
        starts=starts,
        means=(mixing @ points).astype(np.float32),
        gram=_between(points, inside, starts, points, inside, starts),
        noise=found.spreads / samples,
        shares=shares / shares.sum(),
    )


def inner_products(left: Weighted, right: Sequence[Weighted]) -> Floats:
    """⟨μ, μ′⟩ of one's kernel means and those of several others, side by side `(K, ΣK′)`."""
    # One by one: of a product with all points, columns with the same numbers may differ in the
    # last place, and models of the same weights would differ in their scores.
    own = left.points, left.weights, left.starts
    return np.concatenate(
        [_between(*own, one.points, one.weights, one.starts) for one in right], axis=1
    )


def _between(
    left: Points,
    left_weights: NDArray[np.floating],
    left_starts: Places,
    right: Points,
    right_weights: NDArray[np.floating],
    right_starts: Places,
) -> Floats:
    values = kernel(left.astype(np.float32, copy=False), right.astype(np.float32, copy=False))
    rows = np.add.reduceat(values * left_weights[:, None], left_starts, axis=0)
    found = np.add.reduceat(rows * right_weights[None], right_starts, axis=1)
    return np.asarray(found, dtype=np.float64)
