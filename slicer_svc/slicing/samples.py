"""The few labelled samples of a model, and how much each of them weighs."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slicer_svc.slicing.errors import SlicingError, SlicingReason


@dataclass(frozen=True)
class Samples:
    """Labelled samples of one model, checked when made.

    Attributes:
        inputs: One array per graph input by its name, first axis the sample, `(n, ...)`.
        labels: Class index of every sample, int64 `(n,)`.
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


REST = 60
"""Samples of other classes that one class is told apart from, or twice its own where that is more:
what a class keeps does not depend on how many others its model knows, and neither does the time."""


def class_pool(labels: NDArray[np.int64], target: int) -> NDArray[np.int64]:
    """Places of the samples that one class is sliced with.

    Args:
        labels: Class index of every sample, `(n,)`.
        target: The class c.

    Returns:
        All samples of c and some of the others, the first of every class before the second of
        any; sorted.
    """
    inside = np.flatnonzero(labels == target)
    others = np.flatnonzero(labels != target)
    most = max(REST, 2 * len(inside))
    chosen = others[spread(labels[others], most)]
    return np.sort(np.concatenate([inside, chosen])).astype(np.int64)


def spread(labels: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Places of at most `most` samples: the first of every class, then the second, and so on."""
    rank = np.zeros(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        inside = np.flatnonzero(labels == label)
        rank[inside] = np.arange(len(inside))
    return np.sort(np.argsort(rank, kind="stable")[:most])


def class_weights(labels: NDArray[np.int64], target: int) -> NDArray[np.float64]:
    """Weights with which class c counts twice the sum of all others (as in Eq. 8).

    Args:
        labels: Class index of every sample, `(n,)`.
        target: The class c; it needs a sample.

    Returns:
        Float64 `(n,)` of sum one: 2/3 spread evenly over class c's samples, 1/3 over the others;
        all of it on class c where there is no other.
    """
    inside = labels == target
    members, others = int(inside.sum()), int((~inside).sum())
    if not others:
        return np.full(len(labels), 1.0 / members)
    return np.where(inside, 2.0 / (3.0 * members), 1.0 / (3.0 * others))


def balanced_weights(labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Weights of sum one with which every class that has a sample counts the same, `(n,)`."""
    _, place, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return np.asarray(1.0 / (len(counts) * counts[place]), dtype=np.float64)


def _invalid(message: str) -> SlicingError:
    return SlicingError(
        SlicingReason.SAMPLES_MISMATCH,
        message,
        advice="Give one array per graph input and int64 labels, all with the same first axis.",
    )
