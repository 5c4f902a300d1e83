"""Pictures of blobs in files, as somebody has them who looks for a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from tests.helpers.submissions import blobs

SIDE = 40
"""Larger than what any model of blobs takes."""


def blob_folder(folder: Path, names: Sequence[str], *, per_class: int = 12, seed: int = 7) -> Path:
    """Writes pictures of blobs into a folder for each class; returns the folder."""
    arrays = blobs(len(names), per_class, seed)
    for place, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for number, pixels in enumerate(arrays["x"][arrays["labels"] == place]):
            save(folder / name / f"{number}.png", pixels[0])
    return folder


def save(path: Path, pixels: np.ndarray) -> None:
    """Writes a picture of values from 0 to 1, `(H, W)` or `(H, W, 3)`."""
    picture = Image.fromarray(np.rint(pixels * 255).astype(np.uint8))
    picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR).save(path)
