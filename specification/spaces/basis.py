"""``python -m specification.spaces.basis``: makes the file of the space of pictures anew.

Another file is another space: raise `VERSION` with it.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from specification.spaces.canonical import shrunk
from specification.spaces.leaves import dead_leaves
from specification.spaces.pictures import DIMENSIONS, FILE, FILTERS, PATCH, answers

SEED: Final = 0x5EED
LEAVES: Final = 2000
"""Pictures of dead leaves that axes are taken from."""
_RANGE: Final = 8.0
"""Pixels over which neighbours agree: their correlation falls to 1/e."""
_COLOURS: Final = 0.9
"""The correlation of two colours of a pixel."""
_NOISE: Final = 0.1
_SHRINKAGE: Final = 0.3
"""Added to the variance of every axis, as a share of the mean variance."""


def main() -> None:
    """Writes the file."""
    filters, centre, axes = made()
    np.savez_compressed(
        FILE, allow_pickle=False, filters=filters, centre=centre, axes=axes.astype(np.float16)
    )


def made() -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Filters, centre and axes as `picture_features` takes them."""
    leaves = shrunk(dead_leaves(LEAVES, SEED))
    filters = _filters()
    # A mean square of 1 over all answers, so that the threshold means the same in any layer.
    raw = answers(leaves[:100], filters * 1e3) / 1e3
    filters /= np.float32(2.0 * raw.mean() / _MEAN_OF_HALF)
    found = answers(leaves, filters).astype(np.float64)
    centre = found.mean(axis=0)
    deviation = found.std(axis=0) + 1e-6
    standard = (found - centre) / deviation
    values, axes = np.linalg.eigh(standard.T @ standard / len(standard))
    values = np.maximum(values, 0.0)
    lengths = np.sqrt(values + _SHRINKAGE * values.mean())
    kept = (axes / lengths)[:, -DIMENSIONS:] / deviation[:, None]
    return filters, centre.astype(np.float32), kept.astype(np.float32)


_MEAN_OF_HALF: Final = np.sqrt(2.0 / np.pi)
"""E|x| of a normal x of variance 1: twice the mean of its positive part."""


def _filters() -> NDArray[np.float32]:
    """Random filters behind the whitening `(3 · PATCH², FILTERS)`."""
    places = np.indices((PATCH, PATCH)).reshape(2, -1).T
    apart = np.sqrt(((places[:, None] - places[None]) ** 2).sum(axis=-1))
    colours = np.full((3, 3), _COLOURS) + (1 - _COLOURS) * np.eye(3)
    values, axes = np.linalg.eigh(np.kron(colours, np.exp(-apart / _RANGE)))
    whitening = (axes / np.sqrt(values + _NOISE)) @ axes.T
    drawn = np.random.default_rng(SEED).normal(size=(len(whitening), FILTERS))
    return np.asarray(whitening @ (drawn / np.linalg.norm(drawn, axis=0)), dtype=np.float32)


if __name__ == "__main__":
    main()
