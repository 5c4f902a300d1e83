"""The space of pictures: a layer of random filters that nobody has trained.

Patches of the canonical form are normalised, whitened as neighbouring pixels agree, and put through
random filters; what passes a threshold, of both signs, is averaged over the quarters of the picture
(Coates, Lee and Ng, 2011). The axes and their lengths are those of dead leaves: in them a step is
as rare in any direction. They are kept in a file, as no two libraries turn axes the same way:
``python -m specification.spaces.basis`` wrote it.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from specification.spaces.canonical import Pictures

FILTERS: Final = 200
PATCH: Final = 4
"""Rows and columns of a patch."""
STRIDE: Final = 1
POOLS: Final = 2
"""Averages are taken over this many parts of the rows, and of the columns."""
DIMENSIONS: Final = 384
"""Axes that are kept: those along which dead leaves differ most."""
ANSWERS: Final = 2 * FILTERS * POOLS**2
FILE: Final = Path(__file__).with_name("pictures.npz")

_CONTRAST: Final = 10.0 / 255.0
_THRESHOLD: Final = 0.25
"""Against a mean square of 1 over the answers of dead leaves."""
_AT_ONCE: Final = 64


def picture_features(pictures: Pictures) -> NDArray[np.float64]:
    """Points of pictures.

    Args:
        pictures: In canonical form `(N, SIDE, SIDE, 3)`.

    Returns:
        `(N, DIMENSIONS)`.
    """
    filters, centre, axes = _basis()
    parts = [
        (answers(pictures[start : start + _AT_ONCE], filters) - centre) @ axes
        for start in range(0, len(pictures), _AT_ONCE)
    ]
    return np.concatenate(parts).astype(np.float64)


def answers(pictures: Pictures, filters: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the filters answer.

    Args:
        pictures: `(N, SIDE, SIDE, 3)`.
        filters: `(3 · PATCH², FILTERS)`.

    Returns:
        `(N, ANSWERS)`.
    """
    windows = np.lib.stride_tricks.sliding_window_view(pictures, (PATCH, PATCH), axis=(1, 2))
    windows = windows[:, ::STRIDE, ::STRIDE]
    count, rows, columns = windows.shape[:3]
    patches = windows.reshape(count * rows * columns, -1)
    patches = patches - patches.mean(axis=1, keepdims=True)
    patches /= np.sqrt(patches.var(axis=1, keepdims=True) + _CONTRAST**2)
    found = patches @ filters
    both = np.concatenate([found - _THRESHOLD, -found - _THRESHOLD], axis=1)
    passed = np.maximum(both, 0.0).reshape(count, rows, columns, -1)
    return np.concatenate(
        [
            part.mean(axis=(1, 2))
            for band in np.array_split(passed, POOLS, axis=1)
            for part in np.array_split(band, POOLS, axis=2)
        ],
        axis=1,
    )


@cache
def _basis() -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Filters, the mean answers of dead leaves, and the axes `(ANSWERS, DIMENSIONS)`."""
    with np.load(FILE, allow_pickle=False) as kept:
        filters, centre, axes = kept["filters"], kept["centre"], kept["axes"]
    return filters, centre, axes.astype(np.float32)
