"""The classes of a specification as an index keeps and compares them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from specification.kernel import kernel
from specification.model import Floats, Specification


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
        return np.asarray((found.points * found.scale + found.offset - self.offset) / self.scale)


@dataclass(frozen=True, eq=False)
class Embedding:
    """Classes as weighted points; samples without labels are one class.

    Attributes:
        points: `(m, D)`, float32 in a query and float16 in an index, class by class.
        weights: `(m,)`, those of a class add up to 1.
        starts: Where the points of each class begin `(K,)`.
        means: The weighted mean of each class `(K, D)` float32.
        own: ⟨μ, μ⟩ of each class's kernel mean `(K,)`.
        noise: The squared MMD that chance alone makes of so few samples `(K,)`.
        shares: The classes' shares of the samples `(K,)`.
    """

    points: NDArray[np.floating]
    weights: NDArray[np.float32]
    starts: NDArray[np.int64]
    means: NDArray[np.float32]
    own: Floats
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
    own = [
        part_weights @ kernel(part, part) @ part_weights
        for part, part_weights in zip(
            np.split(points, starts[1:]), np.split(inside, starts[1:]), strict=True
        )
    ]
    samples = found.class_samples if found.labelled else np.array([found.samples])
    return Embedding(
        points=points.astype(kind),
        weights=inside.astype(np.float32),
        starts=starts,
        means=np.add.reduceat(points * inside[:, None], starts).astype(np.float32),
        own=np.array(own),
        noise=found.spreads / samples,
        shares=shares / shares.sum(),
    )


def joined(embeddings: list[Embedding]) -> Embedding:
    """Several embeddings one behind the other, in float32."""
    sizes = np.cumsum([0, *(len(one.weights) for one in embeddings)])
    return Embedding(
        points=np.concatenate([one.points for one in embeddings]).astype(np.float32),
        weights=np.concatenate([one.weights for one in embeddings]),
        starts=np.concatenate(
            [one.starts + first for one, first in zip(embeddings, sizes, strict=False)]
        ),
        means=np.concatenate([one.means for one in embeddings]),
        own=np.concatenate([one.own for one in embeddings]),
        noise=np.concatenate([one.noise for one in embeddings]),
        shares=np.concatenate([one.shares for one in embeddings]),
    )


def inner_products(left: Embedding, right: Embedding) -> Floats:
    """⟨μ, μ′⟩ of the classes' kernel means `(K, K′)`."""
    values = kernel(left.points, right.points)  # type: ignore[arg-type]
    rows = np.add.reduceat(values * left.weights[:, None], left.starts, axis=0)
    return np.asarray(np.add.reduceat(rows * right.weights[None], right.starts, axis=1))


def squared_mmd(left: Embedding, right: Embedding) -> Floats:
    """Squared MMD of every class of one with every class of the other `(K, K′)`."""
    found = left.own[:, None] + right.own[None] - 2 * inner_products(left, right)
    return np.asarray(np.maximum(found, 0.0), dtype=np.float64)
