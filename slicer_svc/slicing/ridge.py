"""Ridge regression from second moments, pulled towards a known solution."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from torch import Tensor


class Moments:
    """Weighted second moments of regressors x and targets y, gathered by minibatch in float64."""

    def __init__(self) -> None:
        self._gram: Tensor | None = None
        self._cross: Tensor | None = None

    def add(self, x: Tensor, y: Tensor, weights: Tensor) -> None:
        """Adds a minibatch.

        Args:
            x: Regressors `(rows, k)`; all rows of a sample follow each other.
            y: Targets `(rows, o)`.
            weights: One weight per sample, `(n,)`, rows a multiple of n.
        """
        roots = weights.double().sqrt().repeat_interleave(len(x) // len(weights))[:, None]
        scaled = _with_one(x) * roots
        gram, cross = scaled.T @ scaled, scaled.T @ (_with_one(y) * roots)
        self._gram = gram if self._gram is None else self._gram + gram
        self._cross = cross if self._cross is None else self._cross + cross

    @property
    def gram(self) -> NDArray[np.float64]:
        """Σ w·x·xᵀ, float64 `(k, k)`."""
        return self._known(self._gram)[:-1, :-1]

    @property
    def cross(self) -> NDArray[np.float64]:
        """Σ w·x·yᵀ, float64 `(k, o)`."""
        return self._known(self._cross)[:-1, :-1]

    @property
    def means(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Weighted means of x `(k,)` and y `(o,)`."""
        cross, total = self._known(self._cross), self.weight
        return self._known(self._gram)[:-1, -1] / total, cross[-1, :-1] / total

    @property
    def scale(self) -> float:
        """Mean diagonal of the Gram matrix: the natural size of a damping."""
        return float(np.trace(self.gram)) / len(self.gram)

    @property
    def weight(self) -> float:
        """Σ w over all rows."""
        return float(self._known(self._gram)[-1, -1])

    @staticmethod
    def _known(moment: Tensor | None) -> NDArray[np.float64]:
        assert moment is not None, "moments are read before any minibatch was added"
        return np.asarray(moment.numpy(), dtype=np.float64)


def _with_one(rows: Tensor) -> Tensor:
    """Rows in float64 with a column of ones, so that one product holds the means too."""
    return torch.cat([rows.double(), torch.ones(len(rows), 1, dtype=torch.float64)], dim=1)


def ridge(
    gram: NDArray[np.float64],
    cross: NDArray[np.float64],
    centre: NDArray[np.float64],
    damping: float,
) -> NDArray[np.float64]:
    """argmin_W of Σ w‖y − Wᵀx‖² + λ‖W − W₀‖².

    Args:
        gram: Σ w·x·xᵀ, `(k, k)`.
        cross: Σ w·x·yᵀ, `(k, o)`.
        centre: W₀, `(k, o)`.
        damping: λ. At zero, where the regressors are all dead, the centre itself is returned.

    Returns:
        W, float64 `(k, o)`.
    """
    if not damping > 0:
        return centre.copy()
    damped = gram + damping * np.eye(len(gram))
    correction = cho_solve(cho_factor(damped, lower=True), cross - gram @ centre)
    return np.asarray(centre + correction)


def affine_ridge(
    moments: Moments, centre: NDArray[np.float64], damping: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ridge regression with a bias that is not penalised.

    Args:
        moments: Moments of regressors x and targets y.
        centre: W₀, `(k, o)`.
        damping: λ, as for `ridge`.

    Returns:
        W `(k, o)` and the bias `(o,)` of y ≈ Wᵀx + b.
    """
    x_mean, y_mean = moments.means
    gram = moments.gram - moments.weight * np.outer(x_mean, x_mean)
    cross = moments.cross - moments.weight * np.outer(x_mean, y_mean)
    weight = ridge(gram, cross, centre, damping)
    return weight, y_mean - x_mean @ weight
