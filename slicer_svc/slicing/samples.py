"""The few labelled samples of a model, and how much each of them weighs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slicer_svc.slicing.errors import SlicingError, SlicingReason

UNLABELLED = -1
"""The label of a sample that has none: an input like the model's own, of whatever it shows."""

UNLABELLED_WEIGHT = 0.3
"""What all samples without a label weigh together, beside labelled ones: a pack shows a fragment
the classes of other models, on which it is to answer as its original does (ALGORITHM.md, 3)."""

UNLABELLED_MOST = 120
"""Samples without a label that are looked at, at most."""


@dataclass(frozen=True)
class Samples:
    """Samples of one model, and perhaps others without a label, checked when made.

    Attributes:
        inputs: One array per graph input by its name, first axis the sample, `(n, ...)`.
        labels: Class index of every sample, or `UNLABELLED`, int64 `(n,)`.
    """

    inputs: Mapping[str, NDArray[np.generic]]
    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        """Checks that every input has one entry per label.

        Raises:
            SlicingError: SAMPLES_MISMATCH.
        """
        if self.labels.ndim != 1 or self.labels.dtype != np.int64:
            raise _invalid(f"labels are {self.labels.dtype}{self.labels.shape}, not int64 (n,)")
        if not len(self.labels):
            raise _invalid("there is no sample")
        if not self.inputs:
            raise _invalid("there is no input")
        for name, array in self.inputs.items():
            if array.ndim < 1 or len(array) != len(self.labels):
                raise _invalid(f"input {name!r} has shape {array.shape}, labels {len(self.labels)}")

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.labels)

    def take(self, index: NDArray[np.int64]) -> "Samples":
        """The samples at the given places, in their order."""
        inputs = {name: array[index] for name, array in self.inputs.items()}
        return Samples(inputs, self.labels[index])

    @property
    def labelled(self) -> "Samples":
        """Those that have a label."""
        if (self.labels != UNLABELLED).all():
            return self
        return self.take(np.flatnonzero(self.labels != UNLABELLED).astype(np.int64))

    def joined(self, others: "Samples") -> "Samples":
        """These, then others with the same inputs."""
        inputs = {
            name: np.concatenate([array, others.inputs[name].astype(array.dtype, copy=False)])
            for name, array in self.inputs.items()
        }
        return Samples(inputs, np.concatenate([self.labels, others.labels]))


def unlabelled(inputs: Mapping[str, NDArray[np.generic]]) -> Samples:
    """Samples without a label."""
    count = len(next(iter(inputs.values())))
    return Samples(inputs, np.full(count, UNLABELLED, dtype=np.int64))


REST = 60
"""Samples of other classes that one class is told apart from, or twice its own where that is more:
what a class keeps does not depend on how many others its model knows, and neither does the time."""


def class_pool(labels: NDArray[np.int64], classes: Sequence[int]) -> NDArray[np.int64]:
    """Places of the samples that one class, or several together, are sliced with.

    Args:
        labels: Class index of every sample, `(n,)`.
        classes: The classes.

    Returns:
        All samples of these and some of the others, the first of every class before the second of
        any, and some of those without a label; sorted.
    """
    wanted = np.isin(labels, classes)
    inside = np.flatnonzero(wanted)
    others = np.flatnonzero(~wanted & (labels != UNLABELLED))
    most = max(REST, 2 * len(inside))
    chosen = others[spread(labels[others], most)]
    return np.sort(np.concatenate([inside, chosen, some_unlabelled(labels)])).astype(np.int64)


def some_unlabelled(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Places of at most `UNLABELLED_MOST` samples without a label, evenly spaced."""
    found = np.flatnonzero(labels == UNLABELLED)
    if len(found) > UNLABELLED_MOST:
        found = found[np.linspace(0, len(found) - 1, UNLABELLED_MOST).round().astype(np.int64)]
    return found.astype(np.int64)


def spread(labels: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Places of at most `most` samples: the first of every class, then the second, and so on."""
    rank = np.zeros(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        inside = np.flatnonzero(labels == label)
        rank[inside] = np.arange(len(inside))
    return np.sort(np.argsort(rank, kind="stable")[:most])


def class_weights(
    labels: NDArray[np.int64], classes: Sequence[int], beside: float = UNLABELLED_WEIGHT
) -> NDArray[np.float64]:
    """Weights with which classes count twice the sum of all others (as in Eq. 8).

    Args:
        labels: Class index of every sample, `(n,)`.
        classes: Class c of the paper, or several in its place; at least one has a sample.
        beside: What all samples without a label weigh together.

    Returns:
        Float64 `(n,)` of sum one: 2/3 spread evenly over the classes and over the samples of each,
        1/3 over the others; all of it on the classes where there is no other. Samples without a
        label share `beside`, which the rest gives up.
    """
    others = ~np.isin(labels, classes) & (labels != UNLABELLED)
    weights = np.zeros(len(labels))
    found = [inside for inside in (labels == one for one in classes) if inside.any()]
    for inside in found:
        weights += inside / np.count_nonzero(inside) / len(found)
    if others.any():
        weights = 2.0 / 3.0 * weights + others / (3.0 * np.count_nonzero(others))
    return _beside_unlabelled(labels, weights, beside)


def balanced_weights(
    labels: NDArray[np.int64], beside: float = UNLABELLED_WEIGHT
) -> NDArray[np.float64]:
    """Weights of sum one with which every class that has a sample counts the same, `(n,)`.

    Samples without a label share `beside`, which the rest gives up.
    """
    known = labels != UNLABELLED
    _, place, counts = np.unique(labels[known], return_inverse=True, return_counts=True)
    weights = np.zeros(len(labels))
    weights[known] = 1.0 / (len(counts) * counts[place])
    return _beside_unlabelled(labels, weights, beside)


def _beside_unlabelled(
    labels: NDArray[np.int64], weights: NDArray[np.float64], beside: float
) -> NDArray[np.float64]:
    """Weights of labelled samples lowered by what those without a label get."""
    known = labels != UNLABELLED
    if known.all():
        return weights
    even = beside / np.count_nonzero(~known)
    return np.where(known, (1.0 - beside) * weights, even)


def _invalid(message: str) -> SlicingError:
    return SlicingError(
        SlicingReason.SAMPLES_MISMATCH,
        message,
        advice="Give one array per graph input and int64 labels, all with the same first axis.",
    )
