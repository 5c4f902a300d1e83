"""The kernel that sets of points are compared by."""

from __future__ import annotations

from typing import Final

import numpy as np

from specification.model import Floats

WIDTH: Final = 0.1
"""γ times the space's dimensions: so wide a kernel follows the mean above all."""


def squared_distances(left: Floats, right: Floats) -> Floats:
    """Squared Euclidean distances `(m, n)` of points `(m, D)` and `(n, D)`."""
    found = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1)[None] - 2 * left @ right.T
    return np.asarray(np.maximum(found, 0.0))


def kernel(left: Floats, right: Floats) -> Floats:
    """k(z, z′) = exp(−γ‖z − z′‖²) of points `(m, D)` and `(n, D)`, γ = WIDTH / D."""
    return np.asarray(np.exp(-WIDTH / left.shape[1] * squared_distances(left, right)))
