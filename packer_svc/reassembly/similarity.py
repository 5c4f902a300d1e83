"""How alike the features of networks are, whatever their shapes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

Array = NDArray[np.float64]

GRID = 4
"""Into how many fields a side maps are divided where it matters what stands where."""


def pooled(tensor: Tensor) -> Array:
    """Features `(n, C)`: maps are averaged over their positions, sequences over their tokens.

    Args:
        tensor: `(n, C, ...)` with positions behind the channels, `(n, T, C)`, or `(n, C)`; of any
            type, as the inputs of models are.
    """
    tensor = tensor.double()
    if tensor.dim() == 3:
        tensor = tensor.mean(dim=1)
    elif tensor.dim() > 3:
        tensor = tensor.flatten(2).mean(dim=2)
    found: Array = tensor.numpy()
    return found


def gridded(tensor: Tensor) -> Array:
    """Features `(n, ...)` that still say where things are.

    Maps become means over `GRID` by `GRID` fields, sequences the mean of their tokens.

    Args:
        tensor: As of `pooled`.
    """
    if tensor.dim() != 4 or min(tensor.shape[2:]) < GRID:
        return pooled(tensor) if tensor.dim() != 4 else _rows(tensor)
    floating = tensor if tensor.is_floating_point() else tensor.float()
    return _rows(adaptive_avg_pool2d(floating, GRID))


def _rows(tensor: Tensor) -> Array:
    found: Array = tensor.flatten(1).double().numpy()
    return found


def linear_cka(features: Sequence[Array]) -> Array:
    """Linear centred kernel alignment of every pair, in [0, 1] (Kornblith et al., 2019, Eq. 4).

    Args:
        features: `(n, C_i)` each, of the same n samples.

    Returns:
        `(len(features), len(features))`; 0 where features do not differ between samples.
    """
    grams = np.stack([_unit_gram(one) for one in features])
    found: Array = np.clip(grams @ grams.T, 0.0, 1.0)
    return found


def _unit_gram(features: Array) -> Array:
    """The centred Gram matrix as a vector of length one, or of zeros."""
    centred = features - features.mean(axis=0)
    # Of huge or tiny features the squares of squares would not be numbers.
    scale = np.abs(centred).max(initial=0.0)
    if scale <= np.abs(features).max(initial=0.0) * 1e-12:
        return np.zeros(len(features) ** 2)
    gram = (centred / scale) @ (centred / scale).T
    found: Array = (gram / np.linalg.norm(gram)).ravel()
    return found
