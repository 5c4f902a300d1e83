"""Ridge regression from second moments, pulled towards a known solution."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_EXPONENTS = 120
"""Powers of two by which rows are divided at most: single precision holds their inverses too."""

ROWS_AT_ONCE = 8192
"""Rows that a product is taken of, where there are as many: few sums of large matrices."""

SUMMED_AT_ONCE = 256
"""Rows whose means single precision holds."""

STRIPE = 256
"""Columns of a Gram matrix that are computed at once; with fewer, products are slower."""

WeightedRows = tuple[Tensor, Tensor, Tensor]
"""A minibatch: x `(rows, k)`, y `(rows, o)` and one weight per sample `(n,)`."""


class Waiting:
    """Minibatches that wait until they are as many rows as products are best taken of."""

    def __init__(self) -> None:
        self._rows: list[WeightedRows] = []

    def add(self, rows: WeightedRows) -> None:
        """One more minibatch."""
        self._rows.append(rows)

    @property
    def enough(self) -> bool:
        """Whether they are as many rows."""
        return sum(len(x) for x, _, _ in self._rows) >= ROWS_AT_ONCE

    def take(self) -> WeightedRows | None:
        """All of them as one, every row with its own weight; None where none waits."""
        if len(self._rows) < 2:
            return self._rows.pop() if self._rows else None
        xs, ys, weights = zip(*self._rows, strict=True)
        self._rows.clear()
        by_row = [
            part.repeat_interleave(len(x) // len(part)) for x, part in zip(xs, weights, strict=True)
        ]
        return torch.cat(xs), torch.cat(ys), torch.cat(by_row)


class Moments:
    """Weighted second moments of regressors x and targets y, gathered by minibatch.

    Products are taken of many rows at once and in single precision, where they are several times
    faster and a thousandth of the damping off, and summed in double.
    """

    def __init__(self) -> None:
        self._waiting = Waiting()
        self._gram: Tensor | None = None
        self._cross: Tensor | None = None
        self._systems: dict[tuple[float, bool], _System] = {}

    def add(self, x: Tensor, y: Tensor, weights: Tensor) -> None:
        """Adds a minibatch.

        Args:
            x: Regressors `(rows, k)`; all rows of a sample follow each other.
            y: Targets `(rows, o)`.
            weights: One weight per sample, `(n,)`, rows a multiple of n.
        """
        self._waiting.add((x, y, weights))
        self._systems.clear()
        if self._waiting.enough:
            self._sum_up()

    def _sum_up(self) -> None:
        """Adds the products of the rows that wait."""
        rows = self._waiting.take()
        if rows is None:
            return
        x, y, weights = rows
        roots = _roots(weights, x)
        left, sizes = _unit(x, roots)
        right, y_sizes = _unit(y, roots)
        gram = _squared(left).double()
        gram[-1] = gram[:, -1] = _sums(left)
        gram *= torch.outer(sizes, sizes)
        cross = (left.T @ right).double() * torch.outer(sizes, y_sizes)
        self._gram = gram if self._gram is None else self._gram + gram
        self._cross = cross if self._cross is None else self._cross + cross

    def retarget(self, rows: Iterable[WeightedRows]) -> None:
        """Gives the same regressors other targets.

        Args:
            rows: What `add` was given, with other targets, in any order.
        """
        self._sum_up()
        cross = torch.zeros_like(self._known(self._cross))
        for x, y, weights in rows:
            # Weights are of sum one: the products of x with values of about one are in range.
            right, sizes = _unit(y, _roots(weights, y).square())
            cross[:-1] += (x.T @ right).double() * sizes
            cross[-1] += right.sum(dim=0).double() * sizes
        self._cross = cross

    @property
    def gram(self) -> NDArray[np.float64]:
        """Σ w·x·xᵀ, float64 `(k, k)`."""
        self._sum_up()
        return _array(self._known(self._gram)[:-1, :-1])

    @property
    def cross(self) -> NDArray[np.float64]:
        """Σ w·x·yᵀ, float64 `(k, o)`."""
        self._sum_up()
        return _array(self._known(self._cross)[:-1, :-1])

    @property
    def means(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Weighted means of x `(k,)` and y `(o,)`."""
        self._sum_up()
        gram, cross = self._known(self._gram), self._known(self._cross)
        total = gram[-1, -1]
        return _array(gram[:-1, -1] / total), _array(cross[-1, :-1] / total)

    def solve(
        self, centre: NDArray[np.float64], share: float, *, affine: bool
    ) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """See `Regression.solve`."""
        self._sum_up()
        cross = self._known(self._cross)
        system = self._system(centre, share, affine=affine)
        total = self._known(self._gram)[-1, -1]
        y_mean, cross = cross[-1, :-1] / total, cross[:-1, :-1]
        if affine:
            cross = cross - total * torch.outer(system.mean, y_mean)
        weight = system.solve(cross)
        return _array(weight), _array(y_mean - system.mean @ weight) if affine else None

    def _system(self, centre: NDArray[np.float64], share: float, *, affine: bool) -> "_System":
        """What does not depend on the targets, kept from one solution to the next."""
        found = self._systems.get((share, affine))
        if found is None or not np.array_equal(found.centre, centre):
            gram = self._known(self._gram)
            total = gram[-1, -1]
            mean, gram = gram[:-1, -1] / total, gram[:-1, :-1]
            damping = share * float(gram.diagonal().mean())
            if affine:
                gram = gram - total * torch.outer(mean, mean)
            found = _System.of(gram, mean, centre, damping)
            self._systems[share, affine] = found
        return found

    @staticmethod
    def _known(moment: Tensor | None) -> Tensor:
        assert moment is not None, "moments are read before any minibatch was added"
        return moment


@dataclass(frozen=True, eq=False)
class _System:
    """The left side of a ridge regression about a known solution.

    Attributes:
        mean: Of the regressors, `(k,)`.
        centre: W₀, `(k, o)`.
        start: The same as a tensor.
        known: Gram matrix times W₀.
        factor: The Cholesky factor of the damped Gram matrix; None where nothing can be learnt.
    """

    mean: Tensor
    centre: NDArray[np.float64]
    start: Tensor
    known: Tensor
    factor: Tensor | None

    @classmethod
    def of(
        cls, gram: Tensor, mean: Tensor, centre: NDArray[np.float64], damping: float
    ) -> "_System":
        """Prepares the regression for any targets."""
        start = torch.from_numpy(centre).to(gram)
        factor = _factor(gram, damping) if 0 < damping < math.inf else None
        return cls(mean, centre, start, gram @ start, factor)

    def solve(self, cross: Tensor) -> Tensor:
        """W for Σ w·x·yᵀ."""
        if self.factor is None:
            return self.start
        return self.start + torch.cholesky_solve(cross - self.known, self.factor)


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


def _unit(rows: Tensor, factors: Tensor) -> tuple[Tensor, Tensor]:
    """Rows times a factor each, with a column of ones: one product holds the means.

    Squares of values that single precision holds may be beyond its range; those of rows that are
    divided by a power of two, so that their largest value is about one, are not.

    Returns:
        `(rows, k + 1)`, and what its columns are to be multiplied by, float64 `(k + 1,)`.
    """
    _, exponent = math.frexp(float(rows.abs().max()))
    size = 2.0 ** min(max(exponent, -_EXPONENTS), _EXPONENTS)
    sizes = torch.full((rows.shape[1] + 1,), size, dtype=torch.float64, device=rows.device)
    sizes[-1] = 1.0
    found = rows.new_empty(len(rows), rows.shape[1] + 1)
    torch.mul(rows, factors / size, out=found[:, :-1])
    found[:, -1:] = factors
    return found, sizes


def _sums(rows: Tensor) -> Tensor:
    """Σ a·a_k over rows a, k their last column, float64 `(k,)`.

    Of few rows at a time: a mean that is a little off is off for all regressors alike, and what is
    left of rows that are nearly the same, their mean taken away, is then not positive definite.
    """
    parts = [part[:, -1] @ part for part in rows.split(SUMMED_AT_ONCE)]
    return torch.stack(parts).double().sum(dim=0)


def _squared(rows: Tensor) -> Tensor:
    """Σ a·aᵀ, `(k, k)`: computed on one side of the diagonal alone, in stripes."""
    width = rows.shape[1]
    found = rows.new_empty(width, width)
    for start in range(0, width, STRIPE):
        end = start + STRIPE
        found[start:end, start:] = rows[:, start:end].T @ rows[:, start:]
        found[end:, start:end] = found[start:end, end:].T
    return found


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
