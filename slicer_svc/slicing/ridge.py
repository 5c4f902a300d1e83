"""Ridge regression from second moments, pulled towards a known solution."""

import math
from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_EXPONENTS = 120
"""Powers of two by which rows are divided at most: single precision holds their inverses too."""

WeightedRows = tuple[Tensor, Tensor, Tensor]
"""A minibatch: x `(rows, k)`, y `(rows, o)` and one weight per sample `(n,)`."""


class Moments:
    """Weighted second moments of regressors x and targets y, gathered by minibatch.

    Products of a minibatch are taken in single precision, where they are several times faster and
    a thousandth of the damping off, and summed in double.
    """

    def __init__(self) -> None:
        self._gram: Tensor | None = None
        self._cross: Tensor | None = None
        self._factors: dict[tuple[float, bool], Tensor] = {}

    def add(self, x: Tensor, y: Tensor, weights: Tensor) -> None:
        """Adds a minibatch.

        Args:
            x: Regressors `(rows, k)`; all rows of a sample follow each other.
            y: Targets `(rows, o)`.
            weights: One weight per sample, `(n,)`, rows a multiple of n.
        """
        left = _weighted(x, weights)
        gram, cross = _product(left, left), _product(left, _weighted(y, weights))
        self._gram = gram if self._gram is None else self._gram + gram
        self._cross = cross if self._cross is None else self._cross + cross
        self._factors.clear()

    def retarget(self, rows: Iterable[WeightedRows]) -> None:
        """Gives the same regressors other targets.

        Args:
            rows: What `add` was given, with other targets, in any order.
        """
        cross = torch.zeros_like(self._known(self._cross))
        for x, y, weights in rows:
            cross += _product(_weighted(x, weights), _weighted(y, weights))
        self._cross = cross

    @property
    def gram(self) -> NDArray[np.float64]:
        """Σ w·x·xᵀ, float64 `(k, k)`."""
        return _array(self._known(self._gram)[:-1, :-1])

    @property
    def cross(self) -> NDArray[np.float64]:
        """Σ w·x·yᵀ, float64 `(k, o)`."""
        return _array(self._known(self._cross)[:-1, :-1])

    @property
    def means(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Weighted means of x `(k,)` and y `(o,)`."""
        gram, cross = self._known(self._gram), self._known(self._cross)
        total = gram[-1, -1]
        return _array(gram[:-1, -1] / total), _array(cross[-1, :-1] / total)

    def solve(
        self, centre: NDArray[np.float64], share: float, *, affine: bool
    ) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """See `Regression.solve`."""
        gram, cross = self._known(self._gram), self._known(self._cross)
        total, start = gram[-1, -1], torch.from_numpy(centre).to(gram)
        x_mean, y_mean = gram[:-1, -1] / total, cross[-1, :-1] / total
        gram, cross = gram[:-1, :-1], cross[:-1, :-1]
        damping = share * float(gram.diagonal().mean())
        if affine:
            gram = gram - total * torch.outer(x_mean, x_mean)
            cross = cross - total * torch.outer(x_mean, y_mean)
        weight = start
        if 0 < damping < math.inf:
            # Other targets need no other factor.
            if (share, affine) not in self._factors:
                self._factors[share, affine] = _factor(gram, damping)
            factor = self._factors[share, affine]
            weight = start + torch.cholesky_solve(cross - gram @ start, factor)
        return _array(weight), _array(y_mean - x_mean @ weight) if affine else None

    @staticmethod
    def _known(moment: Tensor | None) -> Tensor:
        assert moment is not None, "moments are read before any minibatch was added"
        return moment


class Rows:
    """Weighted rows of regressors x and targets y: less than moments where rows are few."""

    def __init__(self) -> None:
        self._x: list[Tensor] = []
        self._y: list[Tensor] = []
        self._roots: list[Tensor] = []
        self._factors: dict[tuple[float, bool], Tensor] = {}

    def add(self, x: Tensor, y: Tensor, weights: Tensor) -> None:
        """Adds a minibatch; arguments as for `Moments.add`."""
        self._x.append(x)
        self._y.append(y)
        self._roots.append(_roots(weights, x))
        self._factors.clear()

    def retarget(self, rows: Iterable[WeightedRows]) -> None:
        """Gives the same regressors other targets; the minibatches as they were added."""
        self._y = [y for _, y, _ in rows]

    def solve(
        self, centre: NDArray[np.float64], share: float, *, affine: bool
    ) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """W = W₀ + Xᵀ·(X·Xᵀ + λI)⁻¹·(Y − X·W₀) over weighted, centred rows.

        See `Regression.solve`.
        """
        x, y, roots = (torch.cat(part).double() for part in (self._x, self._y, self._roots))
        start = torch.from_numpy(centre).to(x)
        damping = share * float((x * roots).square().sum()) / x.shape[1]
        x_mean, y_mean = x.new_zeros(x.shape[1]), y.new_zeros(y.shape[1])
        if affine:
            weights = roots[:, 0].square()
            x_mean, y_mean = weights @ x / weights.sum(), weights @ y / weights.sum()
        x, y = (x - x_mean) * roots, (y - y_mean) * roots
        weight = start
        if 0 < damping < math.inf:
            if (share, affine) not in self._factors:
                self._factors[share, affine] = _factor(x @ x.T, damping)
            factor = self._factors[share, affine]
            weight = start + x.T @ torch.cholesky_solve(y - x @ start, factor)
        return _array(weight), _array(y_mean - x_mean @ weight) if affine else None


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

    def retarget(self, rows: Iterable[WeightedRows]) -> None:
        """Gives the same regressors other targets, in the same minibatches."""
        self._gathered.retarget(rows)

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
        return self._gathered.solve(centre, share, affine=affine)


def _roots(weights: Tensor, rows: Tensor) -> Tensor:
    """The root of every row's weight, `(rows, 1)`, in the rows' type."""
    roots = weights.to(rows.device).sqrt().repeat_interleave(len(rows) // len(weights))
    return roots[:, None].to(rows.dtype)


def _weighted(rows: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Rows times the roots of their weights, with a column of ones: one product holds the means.

    Squares of values that single precision holds may be beyond its range; those of rows that are
    divided by a power of two, so that their largest value is about one, are not.

    Returns:
        `(rows, k + 1)`, and what its columns are to be multiplied by, float64 `(k + 1,)`.
    """
    _, exponent = math.frexp(float(rows.abs().max()))
    size = 2.0 ** min(max(exponent, -_EXPONENTS), _EXPONENTS)
    sizes = torch.full((rows.shape[1] + 1,), size, dtype=torch.float64, device=rows.device)
    sizes[-1] = 1.0
    unit = torch.cat([rows / size, rows.new_ones(len(rows), 1)], dim=1)
    return unit * _roots(weights, rows), sizes


def _product(left: tuple[Tensor, Tensor], right: tuple[Tensor, Tensor]) -> Tensor:
    """Σ aᵀ·b of two `_weighted` rows, float64."""
    (a, a_sizes), (b, b_sizes) = left, right
    return (a.T @ b).double() * torch.outer(a_sizes, b_sizes)


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
        damping: λ. At zero, where the regressors are all dead, the centre itself is returned, and
            so it is where they are not finite: nothing can be learnt from them.

    Returns:
        W, float64 `(k, o)`.
    """
    return _array(_ridge(_tensor(gram), _tensor(cross), _tensor(centre), damping))


def _ridge(gram: Tensor, cross: Tensor, centre: Tensor, damping: float) -> Tensor:
    if not 0 < damping < math.inf:
        return centre.clone()
    return centre + torch.cholesky_solve(cross - gram @ centre, _factor(gram, damping))


def _factor(matrix: Tensor, damping: float) -> Tensor:
    """The Cholesky factor of M + λI, of a symmetric M that is at least positive semidefinite."""
    damped = matrix.clone()
    damped.diagonal().add_(damping)
    factor: Tensor = torch.linalg.cholesky(damped)
    return factor


def _array(tensor: Tensor) -> NDArray[np.float64]:
    return np.asarray(tensor.cpu().numpy(), dtype=np.float64)


def _tensor(array: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array))
