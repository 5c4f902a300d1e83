"""What a specification is, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

VERSION: Final = 1
"""Raised with everything that makes specifications of before and after compare wrongly."""

LEAST_SHARE: Final = 4
"""A reduced set has at most one point for this many samples."""

Floats = NDArray[np.float64]
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Space:
    """In which space points lie. Two specifications compare where their spaces are equal.

    Attributes:
        kind: ``image``, ``tensor`` or ``text``; several inputs' kinds are joined by ``+``.
        key: What must agree beside it: nothing for pictures, the number of columns for tables, the
            vocabulary's digest for text.
        dimensions: Numbers of a point.
    """

    kind: str
    key: str
    dimensions: int


@dataclass(frozen=True)
class Privacy:
    """The noise that was put on a specification, for (ε, δ)-differential privacy of one sample.

    Attributes:
        epsilon: ε of the whole specification.
        delta: δ of the whole specification.
        clipping: The longest that a sample may be in the space; longer ones are shortened.
        sensitivity: How far one sample, replaced by another, can move what is released, in the
            Euclidean norm.
        deviation: Of the noise on each number of what is released.
    """

    epsilon: float
    delta: float
    clipping: float
    sensitivity: float
    deviation: float


@dataclass(frozen=True, eq=False)
class Specification:
    """What a model, or a user's task, tells about its samples without showing one.

    Attributes:
        version: Of the format and of the spaces.
        space: Where points lie.
        seed: Of everything drawn in making it.
        points: The reduced set U `(m, D)`, in units of the space after `offset` and `scale`.
        weights: β `(m,)`, none negative, their sum 1; those of a class add up to its share.
        point_classes: The label that each point stands for `(m,)`; -1 where samples had none.
        proxy: W `(D, K)`, which makes scores of points: ``points @ proxy + bias``.
        bias: `(K,)`.
        labels: What the classes are called; empty for samples without labels.
        class_samples: Samples of each class `(K,)`.
        samples: Samples that it was made of.
        offset: What was subtracted from every column `(D,)`: zeros but for tables.
        scale: What every column was divided by then `(D,)`: ones but for tables.
        spreads: 1 less the mean kernel of two samples of a class, by class: how far they lie apart
            `(K,)`; of all samples `(1,)` where there are no labels.
        nearest: The smallest distance from a point to a sample, in units of the space; 0 with
            noise, as it would tell of the samples.
        bound: What that distance was held to at least; 0 with noise.
        privacy: The noise on it, or None.
    """

    version: int
    space: Space
    seed: int
    points: Floats
    weights: Floats
    point_classes: Places
    proxy: Floats
    bias: Floats
    labels: tuple[str, ...]
    class_samples: Places
    samples: int
    offset: Floats
    scale: Floats
    spreads: Floats
    nearest: float
    bound: float
    privacy: Privacy | None = None

    @property
    def labelled(self) -> bool:
        """Whether its samples had labels."""
        return bool(self.labels)

    def points_of(self, label: int) -> Places:
        """The places of the points that stand for a class."""
        return np.flatnonzero(self.point_classes == label)


@dataclass(frozen=True)
class PrivacyRequest:
    """The noise that is asked for.

    Attributes:
        epsilon: ε, above 0.
        delta: δ, between 0 and 1.
    """

    epsilon: float
    delta: float
