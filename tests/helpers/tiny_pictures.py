"""CIFAR-10's binary files with a handful of pictures, and origins that know them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.paper.bench import Bench
from benchmarks.paper.setting import Setting
from benchmarks.paper.tasks import TASKS
from slicer_svc.slicing.recipe import Recipe

CLASSES = 10


def write_tiny_cifar10(folder: Path, train: int, test: int) -> None:
    """Writes `train` and `test` pictures a class: a pattern of its class, moved, with noise."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    patterns = random.normal(0.0, 1.0, (CLASSES, 3, 8, 8)).repeat(4, axis=2).repeat(4, axis=3)
    for part in range(1, 6):
        _write(folder / f"data_batch_{part}.bin", patterns, -(-train // 5), random)
    _write(folder / "test_batch.bin", patterns, test, random)


def tiny_bench(folder: Path) -> Bench:
    """Trains the three origins of T1 on pictures that are there."""
    recipe = Recipe(budget_macs=0.5, block=1, views=2)
    out = folder / "out"
    setting = Setting("T1", "vgg16", 5, recipe, folder, out, "closed_form", width=1 / 32)
    return Bench.of(setting, TASKS["T1"])


def _write(path: Path, patterns: np.ndarray, per_class: int, random: np.random.Generator) -> None:
    labels = np.tile(np.arange(CLASSES), per_class)
    shifts = random.integers(-2, 3, (len(labels), 2))
    moved = np.stack(
        [
            np.roll(patterns[label], shift, (1, 2))
            for label, shift in zip(labels, shifts, strict=True)
        ]
    )
    noisy = 128 + 30 * moved + 30 * random.normal(0.0, 1.0, moved.shape)
    pixels = noisy.clip(0, 255).astype(np.uint8).reshape(len(labels), -1)
    records = np.concatenate([labels.astype(np.uint8)[:, None], pixels], axis=1)
    records.tofile(path)
