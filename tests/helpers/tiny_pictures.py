"""CIFAR's binary files with a handful of pictures, and origins that know them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.paper.bench import Bench
from benchmarks.paper.setting import Setting
from benchmarks.paper.tasks import TASKS
from slicer_svc.slicing.recipe import Recipe

Floats = NDArray[np.float64]


def write_tiny_cifar10(folder: Path, train: int, test: int) -> None:
    """Writes `train` and `test` pictures a class: a pattern of its class, moved, with noise."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    patterns = _patterns(10, random)
    for part in range(1, 6):
        labels, pixels = _pictures(patterns, -(-train // 5), random)
        _records(labels, pixels).tofile(folder / f"data_batch_{part}.bin")
    labels, pixels = _pictures(patterns, test, random)
    _records(labels, pixels).tofile(folder / "test_batch.bin")


def write_tiny_cifar100(folder: Path, train: int, test: int) -> None:
    """Writes the same of a hundred classes, five to a superclass."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    patterns = _patterns(100, random)
    for name, count in (("train", train), ("test", test)):
        labels, pixels = _pictures(patterns, count, random)
        _records(labels // 5, labels, pixels).tofile(folder / f"{name}.bin")
    names = "".join(f"class{label:02d}\n" for label in range(100))
    (folder / "fine_label_names.txt").write_text(names)


def tiny_bench(folder: Path) -> Bench:
    """Trains the three origins of T1 on pictures that are there."""
    recipe = Recipe(budget_macs=0.5, block=1, views=2)
    out = folder / "out"
    setting = Setting("T1", "vgg16", 5, recipe, folder, out, "closed_form", width=1 / 32)
    return Bench.of(setting, TASKS["T1"])


def _patterns(classes: int, random: np.random.Generator) -> Floats:
    return random.normal(0.0, 1.0, (classes, 3, 8, 8)).repeat(4, axis=2).repeat(4, axis=3)


def _pictures(
    patterns: Floats, per_class: int, random: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    labels = np.tile(np.arange(len(patterns)), per_class)
    shifts = random.integers(-2, 3, (len(labels), 2))
    moved = np.stack(
        [
            np.roll(patterns[label], tuple(shift), (1, 2))
            for label, shift in zip(labels, shifts, strict=True)
        ]
    )
    noisy = 128 + 30 * moved + 30 * random.normal(0.0, 1.0, moved.shape)
    return labels, noisy.clip(0, 255).astype(np.uint8).reshape(len(labels), -1)


def _records(*columns: NDArray[Any]) -> NDArray[np.uint8]:
    """Labels, one byte each, and pixels side by side."""
    parts = [column.reshape(len(column), -1).astype(np.uint8) for column in columns]
    return np.concatenate(parts, axis=1)
