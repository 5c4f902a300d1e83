"""What users of the market want, and how well each of its models would do it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from benchmarks.market.search.catalogue import Entry
from benchmarks.market.search.pictures import Pictures, Rows
from benchmarks.paper.tasks import Classes, DataSet

SIZES = (3, 4, 5)
"""Classes of a task."""


@dataclass(frozen=True, eq=False)
class Task:
    """A user's task.

    Attributes:
        data: The data set of its classes.
        classes: What it tells apart.
        shown: Test pictures that the user has, class by class.
        held_out: The other test pictures of its classes.
        side: Rows and columns of the user's pictures.
    """

    data: DataSet
    classes: Classes
    shown: Rows
    held_out: Rows
    side: int


def draw_tasks(
    entries: Sequence[Entry], test: dict[DataSet, Pictures], count: int, k: int, seed: int
) -> list[Task]:
    """Draws tasks: some classes of one of the models each, the models in turn.

    Args:
        entries: The market.
        test: Test pictures by data set; no model and no specification has seen them.
        count: Tasks.
        k: Pictures of each class that the user has.
        seed: Of everything drawn.
    """
    random = np.random.default_rng(seed)
    sides = sorted({entry.kind.side for entry in entries})
    found = []
    for number in range(count):
        entry = entries[number % len(entries)]
        size = int(random.choice(SIZES))
        classes = tuple(int(c) for c in np.sort(random.choice(entry.classes, size, replace=False)))
        shown, rest = [], []
        for label in classes:
            rows = random.permutation(np.flatnonzero(test[entry.data].labels == label))
            shown.append(rows[:k])
            rest.append(rows[k:])
        side = int(random.choice(sides))
        shown_rows, rest_rows = np.concatenate(shown), np.concatenate(rest)
        found.append(Task(entry.data, classes, shown_rows, rest_rows, side))
    return found


def accuracy_by_name(shares: NDArray[np.float64], task: Task, entry: Entry) -> float:
    """The share of a task's pictures whose likeliest class in a model is called as theirs.

    Args:
        shares: `confusion` of the model on the task.
        task: The task.
        entry: The model; what it does not know it cannot answer.
    """
    if entry.data is not task.data:
        return 0.0
    found = [
        shares[place, entry.classes.index(label)]
        for place, label in enumerate(task.classes)
        if label in entry.classes
    ]
    return float(sum(found)) / len(task.classes)


def accuracy_by_assignment(shares: NDArray[np.float64]) -> float:
    """How much of a task a model does if its answers are translated as well as they can be.

    Args:
        shares: `confusion` of the model on the task.

    Returns:
        The mean share under the best one-to-one assignment of the task's classes and the model's,
        known from the very pictures that are counted: what no search can know.
    """
    return float(best_assignment(shares).mean())


def confusion(outputs: NDArray[np.float32], places: Rows, classes: int) -> NDArray[np.float64]:
    """The share of each class's pictures that the model gives each of its own classes `(c, K)`."""
    answers = outputs.argmax(axis=1)
    return np.stack(
        [
            np.bincount(answers[places == place], minlength=outputs.shape[1])
            / (places == place).sum()
            for place in range(classes)
        ]
    )


def best_assignment(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """What each class of a task gets under the best one-to-one assignment `(c,)`, 0 for nothing."""
    rows, columns = linear_sum_assignment(-shares)
    found = np.zeros(len(shares))
    found[rows] = shares[rows, columns]
    return found
