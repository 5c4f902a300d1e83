"""Pictures in one form, whatever the graph is fed."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from svckit.input_spec import InputSpec

SIDE: Final = 16
"""Rows and columns of the canonical form: what even small pictures have, so that sizes compare."""

Pictures = NDArray[np.float32]


def canonical(samples: NDArray[Any], spec: InputSpec) -> Pictures:
    """Brings pictures into the form that all are compared in.

    Args:
        samples: What the graph is fed `(N, C, H, W)` or `(N, H, W, C)`.
        spec: What that means.

    Returns:
        float32 `(N, SIDE, SIDE, 3)`, brightness from 0 to 1: the normalisation undone, grey ones
        with three equal channels, of more than three the first three, resized by means of areas.
    """
    image = spec.image
    found = np.asarray(samples, dtype=np.float32)
    if not image.channels_last:
        found = found.transpose(0, 2, 3, 1)
    channels = found.shape[3]
    mean = np.resize(np.array(image.mean or 0.0, dtype=np.float32), channels)
    deviation = np.resize(np.array(image.deviation or 1.0, dtype=np.float32), channels)
    found = found * deviation + mean
    found = (found - image.minimum) / (image.maximum - image.minimum)
    small = shrunk(found[..., : 3 if channels >= 3 else 1])
    return np.clip(small if channels >= 3 else small.repeat(3, axis=3), 0.0, 1.0)


def shrunk(colours: NDArray[np.float32]) -> NDArray[np.float32]:
    """Pictures `(N, H, W, C)` of the canonical size, by means of areas `(N, SIDE, SIDE, C)`."""
    rows, columns = _areas(colours.shape[1]), _areas(colours.shape[2])
    tall = np.tensordot(rows, colours, axes=(1, 1)).transpose(1, 0, 2, 3)
    wide = np.tensordot(columns, tall, axes=(1, 2)).transpose(1, 2, 0, 3)
    return np.asarray(wide)


def _areas(side: int) -> NDArray[np.float32]:
    """What each of `SIDE` rows takes of `side` rows `(SIDE, side)`.

    Smaller pictures are interpolated between the centres of their pixels; larger ones averaged.
    """
    if side >= SIDE:
        edges = np.arange(SIDE + 1) * side / SIDE
        low, high = edges[:-1, None], edges[1:, None]
        cells = np.arange(side)[None, :]
        share = np.clip(np.minimum(high, cells + 1) - np.maximum(low, cells), 0.0, None)
        return np.asarray(share / share.sum(axis=1, keepdims=True), dtype=np.float32)
    centres = np.clip((np.arange(SIDE) + 0.5) * side / SIDE - 0.5, 0, side - 1)
    near = 1.0 - np.abs(centres[:, None] - np.arange(side)[None, :])
    return np.asarray(np.clip(near, 0.0, None), dtype=np.float32)
