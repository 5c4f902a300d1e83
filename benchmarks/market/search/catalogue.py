"""The markets of the search experiment: which models know which classes.

Every class of a market is known by two of its models, in other company each time: CIFAR-100's are
dealt into groups of five twice. So a task's classes are spread over several models, of which one
knows all of them. No class of the market that settings were chosen on is in the reported one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from benchmarks.paper.tasks import Classes, DataSet

GROUP = 5
"""Classes that a model knows."""
DEALS = 2
"""Times that the classes are dealt."""
HALF = 50
"""CIFAR-100's classes of one market."""
_SPLIT_SEED = 20231
"""Which half of CIFAR-100's classes is whose."""


class Part(StrEnum):
    """What a market is for."""

    TUNING = "tuning"
    """Everything that was chosen was chosen on this one."""
    REPORTED = "reported"


@dataclass(frozen=True)
class Kind:
    """A kind of network.

    Attributes:
        arch: Its architecture.
        width: Factor on its channels.
        side: Rows and columns of its pictures.
    """

    arch: str
    width: float
    side: int


HOMOGENEOUS = (Kind("cnn4", 0.5, 32),)
HETEROGENEOUS = (
    Kind("cnn4", 0.5, 32),
    Kind("cnn4_pooled", 0.5, 16),
    Kind("vgg16", 0.125, 32),
    Kind("cnn4_pooled", 0.75, 24),
)
MARKETS: Mapping[str, tuple[Kind, ...]] = {
    "homogeneous": HOMOGENEOUS,
    "heterogeneous": HETEROGENEOUS,
}


@dataclass(frozen=True)
class Entry:
    """A model of a market.

    Attributes:
        data: The data set of its classes.
        classes: Its classes in the order of its scores.
        kind: Its network.
        seed: Seed of its training.
    """

    data: DataSet
    classes: Classes
    kind: Kind
    seed: int


def market(part: Part, kinds: tuple[Kind, ...], seed: int) -> tuple[Entry, ...]:
    """The models of a market.

    Args:
        part: What it is for.
        kinds: Networks, dealt to the models in turn.
        seed: Of the groups and of training.

    Returns:
        20 models of CIFAR-100's classes; with four of CIFAR-10's where they are reported.
    """
    groups = [(DataSet.CIFAR100, group) for group in _groups(_half(part), seed)]
    if part is Part.REPORTED:
        groups += [(DataSet.CIFAR10, group) for group in _groups(np.arange(10), seed)]
    return tuple(
        Entry(data, group, kinds[place % len(kinds)], seed)
        for place, (data, group) in enumerate(groups)
    )


def classes_of(entries: Sequence[Entry], data: DataSet) -> Classes:
    """The classes of a data set that some model of a market knows."""
    return tuple(
        sorted({label for entry in entries if entry.data is data for label in entry.classes})
    )


def _half(part: Part) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The market's classes of CIFAR-100."""
    order = np.random.default_rng(_SPLIT_SEED).permutation(2 * HALF)
    return np.sort(order[:HALF] if part is Part.TUNING else order[HALF:])


def _groups(classes: np.ndarray[tuple[int], np.dtype[np.int64]], seed: int) -> list[Classes]:
    """The classes dealt into groups of `GROUP`, `DEALS` times."""
    random = np.random.default_rng((seed, len(classes)))
    found = []
    for _ in range(DEALS):
        dealt = random.permutation(classes).reshape(-1, GROUP)
        found += [tuple(int(label) for label in np.sort(group)) for group in dealt]
    return found
