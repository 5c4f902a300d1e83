"""Pictures that nobody took: dead leaves, of which the statistics of real pictures are made.

Overlapping ellipses of all sizes have the edges, the contrasts and the falling spectrum of nature
(Lee, Mumford and Huang, 2001). The space of pictures takes its axes and their lengths from such
pictures: no data set, no licence, nobody's pictures.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from specification.spaces.canonical import Pictures

SIDE: Final = 32
_LEAST, _MOST = 8, 120
"""Leaves of a picture."""
_MARGIN: Final = 8
"""Pixels outside the picture in which leaves still lie."""
_SMALLEST: Final = 1.5
"""Radius of the smallest leaves; larger ones are rarer by its cube."""


def dead_leaves(count: int, seed: int) -> Pictures:
    """Draws pictures.

    Args:
        count: How many.
        seed: Of everything drawn.

    Returns:
        float32 `(count, 32, 32, 3)`, from 0 to 1.
    """
    random = np.random.default_rng(seed)
    return np.stack([_picture(random) for _ in range(count)])


def _picture(random: np.random.Generator) -> Pictures:
    rows, columns = np.indices((SIDE, SIDE))
    brightness, tint = random.uniform(), 0.1 * random.normal(size=3)
    found = np.zeros((SIDE, SIDE, 3))
    for _ in range(int(random.integers(_LEAST, _MOST))):
        across, down = random.uniform(-_MARGIN, SIDE + _MARGIN, 2)
        radius = _SMALLEST / (np.sqrt(random.uniform()) + 0.04)
        angle, flatness = random.uniform(0, np.pi), random.uniform(0.3, 1.0)
        along = (columns - across) * np.cos(angle) + (rows - down) * np.sin(angle)
        aside = (rows - down) * np.cos(angle) - (columns - across) * np.sin(angle)
        leaf = along**2 + (aside / flatness) ** 2 < radius**2
        colour = random.normal(brightness, 0.28) + tint + 0.1 * random.normal(size=3)
        slope = 0.01 * random.normal(size=2)
        shade = slope[0] * along[leaf] + slope[1] * aside[leaf]
        found[leaf] = np.clip(colour, 0, 1) + shade[:, None]
    found += 0.02 * random.normal(size=found.shape)
    return np.asarray(np.clip(found, 0, 1), dtype=np.float32)
