"""Shrinkage linear discriminant analysis, its strength by leave-one-out in closed form.

Samples are few (k = 5 to 20 a class) and columns many, so everything is computed in the row space
of the samples: LDA with an isotropic ridge commutes with rotations and never leaves that space. One
Gram matrix and two symmetric eigendecompositions of at most n × n then serve every strength and
every left-out sample.

The model (Friedman 1989, regularised discriminant analysis with one covariance and equal priors):
Σ_α = (1 − α)·S/(n − C) + α·ν·I with the within-class scatter S and ν = tr(S)/((n − C)·p); class
scores δ_c(x) = xᵀΣ⁻¹m_c − ½·m_cᵀΣ⁻¹m_c. Leaving sample i of class c out is the rank-one change
S − κ·u·uᵀ with u = x_i − m_c and κ = n_c/(n_c − 1), solved by Sherman and Morrison's formula; the
ridge α·ν keeps its value of the full sample.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Scatter:
    """Samples in coordinates in which the within-class scatter is diagonal.

    Attributes:
        samples: Coordinates `(n, r)` of the samples about their mean, r ≤ min(n, p).
        source: `(s, p)`, s ≤ min(n, p); with `mixing` it makes up the coordinates' directions.
        mixing: `(s, r)`: the columns of sourceᵀ·mixing are the orthonormal directions. Kept apart,
            since their product would cost more than all else.
        mean: Mean `(p,)` of the samples.
        within: Eigenvalues `(r,)` of the within-class scatter S.
        ridge: ν, the mean within-class variance over all p columns; 1 where no two samples of a
            class differ (nearest class mean, then).
        labels: Class indices `(n,)`.
        classes: Number of classes C; each has a sample.
    """

    samples: Array
    source: Array
    mixing: Array
    mean: Array
    within: Array
    ridge: float
    labels: Labels
    classes: int

    @cached_property
    def counts(self) -> Labels:
        """Samples per class `(C,)`."""
        return np.bincount(self.labels, minlength=self.classes)

    @cached_property
    def means(self) -> Array:
        """Class means `(C, r)` in the coordinates of `samples`."""
        return class_means(self.samples, self.labels, self.classes)

    @property
    def freedom(self) -> int:
        """Degrees of freedom of the within-class scatter, at least 1."""
        return max(len(self.labels) - self.classes, 1)

    def variances(self, strength: float) -> Array:
        """The diagonal `(r,)` of Σ_α for α = `strength`."""
        return (1 - strength) * self.within / self.freedom + strength * self.ridge


def class_means(samples: Array, labels: Labels, classes: int) -> Array:
    """Returns the means `(C, r)` of `samples` `(n, r)` by class."""
    sums = np.zeros((classes, samples.shape[1]))
    np.add.at(sums, labels, samples)
    return sums / np.bincount(labels, minlength=classes)[:, None]


def scatter(columns: Array, labels: Labels, classes: int) -> Scatter:
    """Diagonalises the within-class scatter of `columns` `(n, p)` in the row space of the samples.

    Args:
        columns: Standardised features and class scores, float64.
        labels: Class indices `(n,)` in [0, C); every class occurs.
        classes: C.
    """
    mean = columns.mean(axis=0)
    centred = columns - mean
    inside, source, mixing = _row_space(centred)
    deviations = inside - class_means(inside, labels, classes)[labels]
    within, axes = np.linalg.eigh(deviations.T @ deviations)
    within = np.maximum(within, 0.0)
    freedom = max(len(labels) - classes, 1)
    ridge = float(within.sum()) / (freedom * columns.shape[1]) or 1.0
    return Scatter(inside @ axes, source, mixing @ axes, mean, within, ridge, labels, classes)


def _row_space(centred: Array) -> tuple[Array, Array, Array]:
    """Coordinates `(n, r)` of the rows, and source and mixing of their directions.

    Through the smaller of both Gram matrices.
    """
    n, p = centred.shape
    if p <= n:
        return centred, np.eye(p), np.eye(p)
    values, vectors = np.linalg.eigh(centred @ centred.T)
    kept = values > max(float(values[-1]), 0.0) * n * np.finfo(np.float64).eps
    lengths = np.sqrt(values[kept])
    return vectors[:, kept] * lengths, centred, vectors[:, kept] / lengths


def discriminants(space: Scatter, strength: float) -> tuple[Array, Array]:
    """The class scores' weight `(r, C)` and bias `(C,)` on the coordinates of `space`."""
    solved = space.means / space.variances(strength)
    return solved.T, -0.5 * np.einsum("cr,cr->c", solved, space.means)


def on_columns(space: Scatter, weight: Array, bias: Array) -> tuple[Array, Array]:
    """Weight `(p, C)` and bias `(C,)` on columns that equal those on the coordinates of `space`."""
    whole: Array = space.source.T @ (space.mixing @ weight)
    return whole, bias - space.mean @ whole


def left_out_scores(space: Scatter, strength: float) -> Array:
    """Scores `(n, C)` of each sample by the discriminants fitted without it, exactly.

    Needs at least two samples in every class. Per strength O(n·C·r), no refit.
    """
    own = space.labels
    counts = space.counts[own].astype(np.float64)
    rows = np.arange(len(own))
    inverse = 1.0 / (space.freedom * space.variances(strength))
    cross = (space.samples * inverse) @ space.means.T
    length = np.einsum("nr,nr->n", space.samples * inverse, space.samples)
    gram = (space.means * inverse) @ space.means.T
    own_cross = cross[rows, own]
    # Differences to the class means under the full metric, then u = x − m_c and xᵀ…u.
    square = length[:, None] - 2 * cross + np.diag(gram)
    along = length[:, None] - own_cross[:, None] - cross + gram[own]
    deviation = square[rows, own].copy()
    grown = counts / (counts - 1)
    square[rows, own] *= grown**2
    along[rows, own] *= grown
    step = (1 - strength) * grown
    shrink = step / (1 - step * deviation)
    freedom = max(space.freedom - 1, 1)
    scores: Array = -0.5 * freedom * (square + shrink[:, None] * along**2)
    return scores
