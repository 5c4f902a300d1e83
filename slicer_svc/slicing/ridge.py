"""Ridge regression from second moments, pulled towards a known solution."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from torch import Tensor


class Moments:
    """Weighted second moments of regressors x and targets y, gathered by minibatch.

    Products of a minibatch are taken in single precision, where they are several times faster and
    a thousandth of the damping off, and summed in double.
    """

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
        roots = _roots(weights, x)
        scaled = _with_one(x) * roots
        gram = (scaled.T @ scaled).double()
        cross = (scaled.T @ (_with_one(y) * roots)).double()
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
        return np.asarray(moment.cpu().numpy(), dtype=np.float64)


class Rows:
    """Weighted rows of regressors x and targets y: less than moments where rows are few."""

    def __init__(self) -> None:
        self._x: list[Tensor] = []
        self._y: list[Tensor] = []
        self._roots: list[Tensor] = []

    def add(self, x: Tensor, y: Tensor, weights: Tensor) -> None:
        """Adds a minibatch; arguments as for `Moments.add`."""
        self._x.append(x)
        self._y.append(y)
        self._roots.append(_roots(weights, x))

    def joined(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """All x `(rows, k)`, y `(rows, o)` and roots of the weights `(rows, 1)`, in float64."""
        x, y, roots = (
            np.asarray(torch.cat(parts).cpu().numpy(), dtype=np.float64)
            for parts in (self._x, self._y, self._roots)
        )
        return x, y, roots


class Regression:
    """Ridge regression of y on x about a known solution, gathered by minibatch.

    Solved over regressors or over rows, whichever are fewer: the solution is the same.
    """

    def __init__(self, rows: int, width: int) -> None:
        """Prepares for a number of rows in all, each of `width` regressors."""
        self._gathered: Moments | Rows = Rows() if rows < width else Moments()

    def add(self, x: Tensor, y: Tensor, weights: Tensor) -> None:
        """Adds a minibatch; arguments as for `Moments.add`."""
        self._gathered.add(x, y, weights)

    def solve(
        self, centre: NDArray[np.float64], share: float, *, affine: bool
    ) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """Solves for W and, if `affine`, a bias that is not penalised.

        Args:
            centre: W₀, `(k, o)`.
            share: λ as a share of the regressors' mean energy.
            affine: Whether y ≈ Wᵀx + b, or without b.

        Returns:
            W `(k, o)`, and b `(o,)` or None.
        """
        if isinstance(self._gathered, Rows):
            return _dual(self._gathered, centre, share, affine=affine)
        damping = share * self._gathered.scale
        if affine:
            return affine_ridge(self._gathered, centre, damping)
        return ridge(self._gathered.gram, self._gathered.cross, centre, damping), None


def _dual(
    gathered: Rows, centre: NDArray[np.float64], share: float, *, affine: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """W = W₀ + Xᵀ·(X·Xᵀ + λI)⁻¹·(Y − X·W₀) over weighted, centred rows."""
    x, y, roots = gathered.joined()
    damping = share * float(((x * roots) ** 2).sum()) / x.shape[1]
    weights = roots[:, 0] ** 2
    x_mean, y_mean = np.zeros(x.shape[1]), np.zeros(y.shape[1])
    if affine:
        x_mean, y_mean = weights @ x / weights.sum(), weights @ y / weights.sum()
    weight = centre.copy()
    if damping > 0:
        x = (x - x_mean) * roots
        missed = (y - y_mean) * roots - x @ centre
        kernel = x @ x.T
        kernel[np.diag_indices_from(kernel)] += damping
        weight += x.T @ cho_solve(cho_factor(kernel, lower=True, overwrite_a=True), missed)
    return weight, (y_mean - x_mean @ weight if affine else None)


def _roots(weights: Tensor, rows: Tensor) -> Tensor:
    """The root of every row's weight, `(rows, 1)`, in the rows' type."""
    roots = weights.to(rows.device).sqrt().repeat_interleave(len(rows) // len(weights))
    return roots[:, None].to(rows.dtype)


def _with_one(rows: Tensor) -> Tensor:
    """Rows with a column of ones, so that one product holds the means too."""
    return torch.cat([rows, rows.new_ones(len(rows), 1)], dim=1)


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
