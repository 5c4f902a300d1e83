"""The pictures of the search experiment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.paper.images import LabelledImages
from benchmarks.paper.tasks import Classes

Pixels = NDArray[np.uint8]
Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Pictures:
    """One part of a data set.

    Attributes:
        name: The data set's.
        pixels: uint8 `(n, 32, 32, 3)`.
        labels: int64 `(n,)`.
        names: What the classes are called, by label.
    """

    name: str
    pixels: Pixels
    labels: Rows
    names: tuple[str, ...]

    def rows(self, classes: Classes, count: int) -> Rows:
        """The first `count` pictures of each class, class by class."""
        return np.concatenate([np.flatnonzero(self.labels == label)[:count] for label in classes])

    def first(self, classes: Classes, count: int) -> Pictures:
        """The first `count` pictures of each of some classes."""
        rows = self.rows(classes, count)
        return Pictures(self.name, self.pixels[rows], self.labels[rows], self.names)

    def places(self, rows: Rows, classes: Classes) -> Rows:
        """The labels of some rows as places in `classes`."""
        place = {label: number for number, label in enumerate(classes)}
        return np.asarray([place[int(label)] for label in self.labels[rows]], dtype=np.int64)


def resized(pixels: Pixels, side: int) -> Pixels:
    """Pictures of another size, each pixel the mean of what it covers."""
    if pixels.shape[1] == side:
        return pixels
    return np.stack(
        [
            np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.BOX))
            for picture in pixels
        ]
    )


def network_input(pixels: Pixels) -> NDArray[np.float32]:
    """What the origins take: float32 `(n, 3, side, side)`, [0, 255] mapped to [-2, 2]."""
    return LabelledImages(pixels, np.zeros(len(pixels), dtype=np.int64)).network_input()
