"""How alike the features of networks are, whatever their shapes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]


def pooled(tensor: Tensor) -> Array:
    """Features `(n, C)`: maps are averaged over their positions, sequences over their tokens.

    Args:
        tensor: `(n, C, ...)` with positions behind the channels, `(n, T, C)`, or `(n, C)`.
    """
    if tensor.dim() == 3:
        tensor = tensor.mean(dim=1)
    elif tensor.dim() > 3:
        tensor = tensor.flatten(2).mean(dim=2)
    found: Array = tensor.double().numpy()
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
