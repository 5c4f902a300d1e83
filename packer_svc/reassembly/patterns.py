"""How well a network tells samples apart before any training: NASWOT's kernel and score.

Mellor et al., "Neural Architecture Search without Training" (ICML 2021): two samples are alike if
they lie in the same linear pieces of a network, and a network is good if all differ.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]

SHIFT = 1e-3
"""What is added to the kernel's diagonal, as a share of its mean: equal samples would have no
determinant, and neither would a network without activation functions."""


def pattern_kernel(values: Sequence[Tensor], count: int) -> Array:
    """`(n, n)`: in how many activations two samples are on the same side of zero.

    N_A - d_H of the paper's Eq. 2, summed over activation functions; a sum over parts of a network
    is the kernel of the whole.

    Args:
        values: What activation functions read, `(n, ...)` each.
        count: n.
    """
    kernel = np.zeros((count, count))
    for tensor in values:
        sides = (tensor.flatten(1) > 0).float()
        alike = sides @ sides.T + (1 - sides) @ (1 - sides).T
        kernel += alike.double().numpy()
    return kernel


def log_determinant(kernel: Array) -> float:
    """log|K| in nats a sample."""
    _, value = np.linalg.slogdet(kernel)
    return float(value) / len(kernel)


def shift_of(kernels: Sequence[Array]) -> float:
    """What to add to the diagonal of sums of kernels, so that they have a determinant."""
    diagonals = [float(np.diagonal(kernel).mean()) for kernel in kernels]
    return SHIFT * (float(np.mean(diagonals)) or 1.0)
