"""The space of tables: the numbers themselves."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_LEAST_SCALE: Final = 1e-11
"""Above the least that a specification may divide by."""


def table_features(samples: NDArray[Any]) -> NDArray[np.float64]:
    """Points of plain numbers: every sample's as one row `(N, columns)`."""
    return np.asarray(samples, dtype=np.float64).reshape(len(samples), -1)


def standard(points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What brings every column to mean 0 and deviation 1.

    Returns:
        What is subtracted and what is divided by then, each `(columns,)`; a column that does not
        vary, or by next to nothing, is divided by 1.
    """
    offset = points.mean(axis=0)
    scale = points.std(axis=0)
    constant = scale <= np.maximum(1e-6 * np.abs(offset), _LEAST_SCALE)
    return offset, np.where(constant, 1.0, scale)
