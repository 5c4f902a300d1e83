"""The kernel that sets of points are compared by."""

from __future__ import annotations

from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

WIDTH: Final = 0.1
"""γ times the space's dimensions: so wide a kernel follows the mean above all."""

T = TypeVar("T", bound=np.floating)


def squared_distances(left: NDArray[T], right: NDArray[T]) -> NDArray[T]:
    """Squared Euclidean distances `(m, n)` of points `(m, D)` and `(n, D)`, in their own type."""
    found: NDArray[T] = np.einsum("md,md->m", left, left)[:, None] - 2 * (left @ right.T)
    found += np.einsum("nd,nd->n", right, right)[None]
    np.maximum(found, 0, out=found)
    return found


def kernel(left: NDArray[T], right: NDArray[T]) -> NDArray[T]:
    """k(z, z′) = exp(−γ‖z − z′‖²) of points `(m, D)` and `(n, D)`, γ = WIDTH / D."""
    found = squared_distances(left, right)
    found *= -WIDTH / left.shape[1]
    np.exp(found, out=found)
    return found
