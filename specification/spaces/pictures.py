"""The space of pictures: a layer of random filters that nobody has trained.

Patches of the canonical form are normalised, whitened as pictures of nature want it, and put
through random filters; what passes a threshold, of both signs, is averaged over the quarters of the
picture. A second part is the picture itself, very small: colours and where they are.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from specification.spaces.canonical import Pictures

FILTERS: Final = 200
PATCH: Final = 6
"""Rows and columns of a patch."""
STRIDE: Final = 2
POOLS: Final = 2
"""Averages are taken over this many parts of the rows, and of the columns."""
SMALL: Final = 4
"""Rows and columns of the small picture."""
THRESHOLD: Final = 0.25
_RANGE: Final = 8.0
"""Pixels over which neighbours agree: their correlation falls to 1/e."""
_COLOURS: Final = 0.9
"""The correlation of two colours of a pixel."""
_NOISE: Final = 0.1
_CONTRAST: Final = 10.0 / 255.0
_SEED: Final = 0x5EED
_AT_ONCE: Final = 64

DIMENSIONS: Final = 2 * FILTERS * POOLS**2 + 3 * SMALL**2


def picture_features(pictures: Pictures) -> NDArray[np.float64]:
    """Points of pictures.

    Args:
        pictures: In canonical form `(N, 32, 32, 3)`.

    Returns:
        `(N, DIMENSIONS)`.
    """
    parts = [
        np.concatenate([_answers(batch), _small(batch)], axis=1)
        for start in range(0, len(pictures), _AT_ONCE)
        for batch in (pictures[start : start + _AT_ONCE],)
    ]
    return np.concatenate(parts).astype(np.float64)


@cache
def _filters() -> NDArray[np.float32]:
    """Random filters behind the whitening `(3 · PATCH², FILTERS)`."""
    places = np.indices((PATCH, PATCH)).reshape(2, -1).T
    apart = np.sqrt(((places[:, None] - places[None]) ** 2).sum(axis=-1))
    colours = np.full((3, 3), _COLOURS) + (1 - _COLOURS) * np.eye(3)
    values, axes = np.linalg.eigh(np.kron(colours, np.exp(-apart / _RANGE)))
    whitening = (axes / np.sqrt(values + _NOISE)) @ axes.T
    drawn = np.random.default_rng(_SEED).normal(size=(len(whitening), FILTERS))
    found = whitening @ (drawn / np.linalg.norm(drawn, axis=0))
    return np.asarray(found / np.linalg.norm(found, axis=0), dtype=np.float32)


def _answers(pictures: Pictures) -> NDArray[np.float32]:
    windows = np.lib.stride_tricks.sliding_window_view(pictures, (PATCH, PATCH), axis=(1, 2))
    windows = windows[:, ::STRIDE, ::STRIDE]
    count, rows, columns = windows.shape[:3]
    patches = windows.reshape(count * rows * columns, -1)
    patches = patches - patches.mean(axis=1, keepdims=True)
    patches /= np.sqrt(patches.var(axis=1, keepdims=True) + _CONTRAST**2)
    answers = patches @ _filters()
    both = np.concatenate([answers - THRESHOLD, -answers - THRESHOLD], axis=1)
    passed = np.maximum(both, 0.0).reshape(count, rows, columns, -1)
    return np.concatenate(
        [
            part.mean(axis=(1, 2))
            for band in np.array_split(passed, POOLS, axis=1)
            for part in np.array_split(band, POOLS, axis=2)
        ],
        axis=1,
    )


def _small(pictures: Pictures) -> NDArray[np.float32]:
    side = pictures.shape[1] // SMALL
    cells = pictures.reshape(len(pictures), SMALL, side, SMALL, side, 3).mean(axis=(2, 4))
    return np.asarray(cells.reshape(len(pictures), -1), dtype=np.float32)
