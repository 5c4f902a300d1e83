"""Further views of pictures: more to fit stitches on than a few samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

AnyArray = NDArray[np.generic]

MOST = 512
"""Up to how many samples views are made."""
MOST_VIEWS = 8
"""How many views of a sample there are at most, itself among them."""
SHIFT = 8
"""A view is moved by up to this part of its side, as the slicer does it: 4 of 32 pixels."""


@dataclass(frozen=True)
class Pictures:
    """What is known of an input that is a picture.

    Attributes:
        channels_last: Whether it is `(n, H, W, C)` instead of `(n, C, H, W)`.
        mirrored: Whether a mirrored one is of the same class.
    """

    channels_last: bool
    mirrored: bool


def with_views(
    samples: Mapping[str, AnyArray], pictures: Mapping[str, Pictures], seed: int
) -> dict[str, AnyArray]:
    """Samples with random views of each behind it.

    Args:
        samples: One array per input.
        pictures: Those inputs that are pictures; without any the samples are returned alone.
        seed: Of the draws.
    """
    count = len(next(iter(samples.values())))
    if not pictures or not count:
        return dict(samples)
    number = int(np.clip(MOST // count, 1, MOST_VIEWS))
    random = np.random.default_rng(seed)
    moves = random.uniform(-1 / SHIFT, 1 / SHIFT, (count, number, 2))
    flips = random.random((count, number)) < 0.5
    # The first view is the sample.
    moves[:, 0], flips[:, 0] = 0.0, False
    found = {}
    for name, array in samples.items():
        many = np.repeat(array, number, axis=0)
        if name in pictures:
            many = _moved(many, pictures[name], moves.reshape(-1, 2), flips.ravel())
        found[name] = many
    return found


def _moved(
    images: AnyArray, kind: Pictures, moves: NDArray[np.float64], flips: NDArray[np.bool_]
) -> AnyArray:
    """Pictures moved by shares of their sides, their edges drawn out, and mirrored."""
    if images.ndim != 4:
        return images
    first = 1 if kind.channels_last else 2
    height, width = images.shape[first : first + 2]
    rows = np.clip(np.arange(height) + np.rint(moves[:, :1] * height), 0, height - 1).astype(int)
    columns = np.clip(np.arange(width) + np.rint(moves[:, 1:] * width), 0, width - 1).astype(int)
    if kind.mirrored:
        columns = np.where(flips[:, None], columns[:, ::-1], columns)
    place = np.arange(len(images))[:, None, None]
    planes = images if kind.channels_last else np.moveaxis(images, 1, -1)
    moved = planes[place, rows[:, :, None], columns[:, None, :]]
    return moved if kind.channels_last else np.ascontiguousarray(np.moveaxis(moved, -1, 1))
