"""A data set as the experiments see it: rows of network inputs with labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.paper.images import ImageSet, LabelledImages, read_cifar10, read_cifar100
from benchmarks.paper.networks import IMAGE_NETWORKS, PADDING
from benchmarks.paper.origins import INPUTS, OriginRecipe, image_recipe, text_recipe
from benchmarks.paper.tasks import Classes, DataSet
from benchmarks.paper.text_data import LabelledSentences, TextSet, read_sst5, read_trec
from slicer_svc.slicing.augmentation import Augmentation, Words

Rows = NDArray[np.int64]
Inputs = NDArray[np.generic]

PADDING_SHARE = 8
"""A crop may move a picture by this share of its side: 4 of 32 pixels, as the slicer does it."""


@dataclass(frozen=True, eq=False)
class Examples:
    """One part of a data set.

    Attributes:
        labels: int64 `(n,)`.
        read: Makes the network inputs of some rows, in their order.
    """

    labels: Rows
    read: Callable[[Rows], Inputs]

    def rows_of(self, classes: Classes) -> Rows:
        """The rows of some classes, in the data set's order."""
        return np.flatnonzero(np.isin(self.labels, classes)).astype(np.int64)

    def places(self, rows: Rows, classes: Classes) -> Rows:
        """The labels of some rows as places in `classes`."""
        place = np.full(int(self.labels.max()) + 1, -1, dtype=np.int64)
        place[list(classes)] = np.arange(len(classes))
        return place[self.labels[rows]]


@dataclass(frozen=True, eq=False)
class Corpus:
    """A data set.

    Attributes:
        name: What it is called in results.
        names: What its classes are called, by label.
        coarse: The superclass of each class, or None.
        train: What origins and samples are made of.
        test: What nothing but the final figures is made of.
        vocabulary: Tokens that a network has to know; 0 for pictures.
    """

    name: str
    names: tuple[str, ...]
    coarse: tuple[int, ...] | None
    train: Examples
    test: Examples
    vocabulary: int

    def origin_recipe(self, classes: Classes, arch: str, width: float, seed: int) -> OriginRecipe:
        """How an origin of some classes is trained on this data."""
        make = image_recipe if arch in IMAGE_NETWORKS else text_recipe
        count = len(self.train.rows_of(classes))
        recipe = make(self.name, classes, arch, width, seed, count)
        return replace(recipe, vocabulary=self.vocabulary)

    def augmentation(self, arch: str) -> Augmentation:
        """What may be done to its samples: pictures are mirrored and moved, words replaced."""
        if self.vocabulary:
            return Augmentation(texts=(Words(INPUTS[arch], self.vocabulary, PADDING),))
        side = self.train.read(np.zeros(1, dtype=np.int64)).shape[-1]
        return Augmentation(images=(INPUTS[arch],), flip=True, pad=side // PADDING_SHARE)


def read_corpus(data: DataSet, folder: Path) -> Corpus:
    """Reads a data set from its usual files.

    Args:
        data: Which one.
        folder: Where its files are.

    Raises:
        DataMissingError: They are not there.
    """
    match data:
        case DataSet.CIFAR10:
            return _of_images(read_cifar10(folder))
        case DataSet.CIFAR100:
            return _of_images(read_cifar100(folder))
        case DataSet.TREC:
            return _of_text(read_trec(folder))
        case DataSet.SST5:
            return _of_text(read_sst5(folder))


def _of_images(data: ImageSet) -> Corpus:
    def examples(part: LabelledImages) -> Examples:
        def read(rows: Rows) -> Inputs:
            return LabelledImages(part.pixels[rows], part.labels[rows]).network_input()

        return Examples(part.labels, read)

    return Corpus(
        data.name, data.names, data.coarse, examples(data.train), examples(data.test), vocabulary=0
    )


def _of_text(data: TextSet) -> Corpus:
    def examples(part: LabelledSentences) -> Examples:
        tokens = data.network_input(part)
        return Examples(part.labels, lambda rows: tokens[rows])

    # The padding and the unknown word come first.
    words = len(data.vocabulary) + 2
    return Corpus(data.name, data.names, None, examples(data.train), examples(data.test), words)
