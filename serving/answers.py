"""What Triton answers, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt


@dataclass(frozen=True)
class ModelVersionState:
    """One version of a model, as Triton's repository index reports it.

    Attributes:
        name: The model.
        version: Its version; 0 for a model that was never loaded.
        ready: Whether Triton calls it ready. True also for a version whose process died.
        reason: Why it is not ready, in Triton's words.
    """

    name: str
    version: int
    ready: bool
    reason: str


@dataclass(frozen=True)
class Inference:
    """The answer to one request.

    Attributes:
        version: The version that answered.
        outputs: The output tensors by name, first axis the sample.
    """

    version: int
    outputs: Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Placement:
    """Where Triton runs the instances of one group of a model.

    Attributes:
        kind: By Triton's name, such as "KIND_CPU".
        gpus: Indices of GPUs, each with as many instances; none on the CPU.
    """

    kind: str
    gpus: tuple[int, ...]


@dataclass(frozen=True)
class ClassScore:
    """One line of the classification extension.

    Attributes:
        label: The class label.
        index: Its position on the output's class axis.
        score: The output's value there; for a pack a probability in [0, 1], rounded to Triton's
            six decimals.
    """

    label: str
    index: int
    score: float


@dataclass(frozen=True)
class Classification:
    """The best classes of each sample, and other outputs of the same request.

    Attributes:
        rows: For each sample its best classes.
        outputs: The other outputs by name, first axis the sample.
    """

    rows: tuple[tuple[ClassScore, ...], ...]
    outputs: Mapping[str, npt.NDArray[Any]]
