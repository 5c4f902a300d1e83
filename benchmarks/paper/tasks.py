"""The paper's seven tasks as data (ALGORITHM.md, section 5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

Classes = tuple[int, ...]


class DataSet(StrEnum):
    """Where a task's examples come from."""

    CIFAR10 = "cifar10"
    CIFAR100 = "cifar100"
    TREC = "trec"
    SST5 = "sst5"


class LabelOrder(StrEnum):
    """By what the classes of a data set are numbered."""

    INDEX = "index"
    """The data set's own numbers (alphabetical)."""
    SUPERCLASS = "superclass"
    """5 · superclass + rank of the class's name within it (CIFAR-100 only)."""


@dataclass(frozen=True)
class Source:
    """Where a pack takes one of its classes from.

    Attributes:
        origin: The origin's place in the task.
        place: The class's place among the origin's classes: its index in the origin's scores.
        label: The class in the data set.
    """

    origin: int
    place: int
    label: int


@dataclass(frozen=True)
class Task:
    """Origins and the packs that are wanted of them.

    Attributes:
        name: T1 … T7.
        data: The data set.
        origins: The classes of each origin, in the order of its scores.
        targets: The classes of each pack: one of each origin that it takes from.
        architectures: The networks that the paper runs it with.
    """

    name: str
    data: DataSet
    origins: tuple[Classes, ...]
    targets: tuple[Classes, ...]
    architectures: tuple[str, ...]

    def sources(self, target: Classes) -> tuple[Source, ...]:
        """Where each class of a target comes from: the first origin that knows it."""
        found = []
        for label in target:
            origin = next(place for place, classes in enumerate(self.origins) if label in classes)
            found.append(Source(origin, self.origins[origin].index(label), label))
        return tuple(found)

    @property
    def wanted(self) -> dict[int, tuple[int, ...]]:
        """By origin that a target takes from, the places of the classes taken, rising."""
        places: dict[int, set[int]] = {}
        for target in self.targets:
            for source in self.sources(target):
                places.setdefault(source.origin, set()).add(source.place)
        return {origin: tuple(sorted(places[origin])) for origin in sorted(places)}

    def renumbered(self, order: Sequence[int]) -> Task:
        """The same task with class c standing for the data set's class `order[c]`."""

        def mapped(groups: tuple[Classes, ...]) -> tuple[Classes, ...]:
            return tuple(tuple(order[label] for label in classes) for classes in groups)

        return replace(self, origins=mapped(self.origins), targets=mapped(self.targets))


def superclass_order(names: Sequence[str], coarse: Sequence[int]) -> tuple[int, ...]:
    """The data set's class for each number 5 · superclass + rank of its name.

    Args:
        names: What the classes are called, by label.
        coarse: The superclass of each class.
    """
    return tuple(sorted(range(len(names)), key=lambda label: (coarse[label], names[label])))


def _ranges(width: int, count: int) -> tuple[Classes, ...]:
    return tuple(tuple(range(start * width, (start + 1) * width)) for start in range(count))


def _every(first: int, step: int, count: int) -> Classes:
    return tuple(first + step * number for number in range(count))


_IMAGES = ("vgg16", "resnet34")

TASKS: Mapping[str, Task] = {
    task.name: task
    for task in (
        Task("T1", DataSet.CIFAR10, _ranges(3, 3), ((0, 3, 6), (1, 4, 7), (2, 5, 8)), _IMAGES),
        Task(
            "T2",
            DataSet.CIFAR100,
            _ranges(20, 5),
            tuple(_every(first, 20, 5) for first in (0, 5, 10, 15)),
            _IMAGES,
        ),
        Task(
            "T3",
            DataSet.CIFAR100,
            tuple(_every(first, 5, 20) for first in range(5)),
            tuple(_every(first, 1, 5) for first in (0, 25, 50, 75)),
            _IMAGES,
        ),
        Task(
            "T4",
            DataSet.CIFAR100,
            _ranges(10, 10),
            tuple(_every(first, 10, 5) for first in range(10)),
            _IMAGES,
        ),
        Task(
            "T5",
            DataSet.CIFAR100,
            _ranges(10, 10),
            tuple(_every(first, 10, 10) for first in range(10)),
            _IMAGES,
        ),
        Task("T6", DataSet.TREC, _ranges(3, 2), ((0, 3), (1, 4), (2, 5)), ("rnn",)),
        Task("T7", DataSet.SST5, ((0, 1, 2), (0, 3, 4)), ((1, 3), (2, 4)), ("cnn",)),
    )
}
