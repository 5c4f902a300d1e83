"""Specifications of small sets of samples."""

from __future__ import annotations

import numpy as np

from specification.codec import from_bytes, to_bytes
from specification.index import Index
from specification.making import Labelling, make
from specification.model import Specification
from svckit.input_spec import FLOAT32, Image, InputSpec

INPUT = InputSpec("image", (3, 32, 32), FLOAT32, Image(False, 0.0, 1.0))


def pictures(level: float, count: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    return (0.1 * random.random((count, 3, 32, 32)) + level).astype(np.float32)


def task(seed: int, levels: tuple[float, ...] = (0.1, 0.5)) -> Specification:
    samples = np.concatenate([pictures(level, 8, seed) for level in levels])
    labels = np.repeat(np.arange(len(levels)), 8)
    names = tuple(f"level {level}" for level in levels)
    return make({"image": samples}, [INPUT], Labelling(names, labels), seed=seed)


def test_bytes_are_the_same_for_the_same_samples_and_seed() -> None:
    assert to_bytes(task(3)) == to_bytes(task(3))


def test_what_was_written_is_read_back() -> None:
    written = to_bytes(task(3))
    assert to_bytes(from_bytes(written)) == written


def test_the_model_of_the_same_things_is_found() -> None:
    index = Index([("same", task(1)), ("other", task(2, (0.3, 0.8)))])
    found = index.models(task(5))
    assert found.matches[0].model == "same"
    assert [match.label for match in found.matches[0].classes] == [0, 1]
