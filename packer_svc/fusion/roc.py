"""Receiver operating characteristic of a score: what it finds against what it mistakes."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

MOST_POINTS = 101


@dataclass(frozen=True)
class Curve:
    """The points of a curve, from (0, 0) to (1, 1), both rising.

    Attributes:
        false_positive_rate: Share of the negatives at or above a threshold.
        true_positive_rate: Share of the positives at or above it.
    """

    false_positive_rate: tuple[float, ...]
    true_positive_rate: tuple[float, ...]


@dataclass(frozen=True)
class Roc:
    """What a score is worth.

    Attributes:
        auc: Area under the whole curve: how often a positive has the higher score, ties by half.
        threshold: The score from which on the true positive rate is furthest above the false
            positive rate (Youden's index).
        curve: At most `MOST_POINTS` points of it.
    """

    auc: float
    threshold: float
    curve: Curve


def roc(negatives: Array, positives: Array) -> Roc:
    """The curve of a score that is to be high for positives.

    Args:
        negatives: Scores `(n,)`, at least one.
        positives: Scores `(m,)`, at least one.
    """
    scores = np.concatenate([negatives, positives])
    order = np.argsort(-scores, kind="stable")
    positive = (order >= len(negatives)).astype(np.int64)
    # Equal scores are one point.
    ends = np.flatnonzero(np.diff(scores[order], append=-np.inf))
    hits, alarms = np.cumsum(positive)[ends], np.cumsum(1 - positive)[ends]
    true = np.concatenate([[0.0], hits / len(positives)])
    false = np.concatenate([[0.0], alarms / len(negatives)])
    best = int((true - false)[1:].argmax())
    shown = np.unique(np.linspace(0, len(true) - 1, MOST_POINTS).round().astype(np.int64))
    return Roc(
        auc=float(np.trapezoid(true, false)),
        threshold=float(scores[order][ends[best]]),
        curve=Curve(tuple(false[shown].tolist()), tuple(true[shown].tolist())),
    )
