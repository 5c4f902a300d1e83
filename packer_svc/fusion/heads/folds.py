"""Stratified folds and the figures of a cross-validation."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from packer_svc.fusion.heads.reliability import Reliability

Array = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

Confusion = tuple[tuple[int, ...], ...]

MAX_FOLDS = 5


@dataclass(frozen=True)
class CrossValidation:
    """Figures over samples that the fitted head had not seen; the fragments had seen them.

    Attributes:
        folds: Number of stratified folds.
        accuracy: Share of held-out samples whose largest probability is their class's.
        log_loss: Mean of −ln of the probability of the sample's class, in nats.
        confusion: How often each class (row) was named as each class (column), `(C, C)`.
        reliability: Whether the probabilities may be taken at their word.
    """

    folds: int
    accuracy: float
    log_loss: float
    confusion: Confusion
    reliability: Reliability

    def figures(self) -> dict[str, float]:
        """What fits in a line, as plain JSON."""
        return {"folds": self.folds, "accuracy": self.accuracy, "log_loss": self.log_loss}


def stratified_folds(labels: Labels, folds: int, seed: int) -> Labels:
    """The fold `(n,)` of each sample: classes spread evenly, drawn by `seed` alone."""
    generator = np.random.default_rng(seed)
    assigned = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == label))
        assigned[members] = (np.arange(len(members)) + label) % folds
    return assigned


def log_losses(logits: Array, labels: Labels) -> Array:
    """−ln softmax(logits)[label] for each row of `logits` `(n, C)`, in nats."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    losses: Array = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]
    return losses


def accuracy(logits: Array, labels: Labels) -> float:
    """The share of rows whose largest value is at their label."""
    return float((logits.argmax(axis=1) == labels).mean())


def confusion_of(truth: Labels, named: Labels, classes: int) -> Confusion:
    """How often each class (row) was named as each class (column).

    Args:
        truth: Index of each sample's class `(n,)`.
        named: Index of the class that it was taken for `(n,)`.
        classes: C.
    """
    counts = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(counts, (truth, named), 1)
    return tuple(tuple(row) for row in counts.tolist())


def recall_of(confusion: Confusion) -> tuple[float | None, ...]:
    """Of each class the share of its samples that were named so; None for one without a sample."""
    return tuple(row[place] / sum(row) if any(row) else None for place, row in enumerate(confusion))


def cross_validate(
    labels: Labels, seed: int, logits_without: Callable[[Labels, Labels], Array]
) -> CrossValidation | None:
    """Runs stratified cross-validation; all choices are made anew within each fold.

    Args:
        labels: Class indices `(n,)`.
        seed: Of the folds: heads of any kind given the same labels and seed share their folds.
        logits_without: Fits on the rows of its first argument, returns the logits of the rows of
            its second.

    Returns:
        The figures, or None if a class has one sample only: nothing can be held out then.
    """
    smallest = int(np.bincount(labels)[np.unique(labels)].min())
    if smallest < 2:
        return None
    folds = min(MAX_FOLDS, smallest)
    assigned = stratified_folds(labels, folds, seed)
    logits = np.empty((len(labels), int(labels.max()) + 1))
    for fold in range(folds):
        held = np.flatnonzero(assigned == fold)
        logits[held] = logits_without(np.flatnonzero(assigned != fold), held)
    return CrossValidation(
        folds,
        accuracy(logits, labels),
        float(log_losses(logits, labels).mean()),
        confusion_of(labels, logits.argmax(axis=1), logits.shape[1]),
        Reliability.of(logits, labels),
    )
