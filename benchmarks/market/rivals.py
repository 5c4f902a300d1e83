"""What a clone is held against: the scores of both models side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import softmax

from packer_svc.fusion.features import FragmentFeatures
from packer_svc.fusion.heads.folds import log_losses

Array = NDArray[np.float64]
Labels = NDArray[np.int64]


def ensemble(wholes: Sequence[FragmentFeatures], places: tuple[int, ...]) -> NDArray[np.intp]:
    """The largest of both models' probabilities, each among its own classes.

    Args:
        wholes: What target and source say.
        places: Of each cloned class its place in the source's scores.
    """
    target, source = (softmax(one.scores.astype(np.float64), axis=1) for one in wholes)
    named: NDArray[np.intp] = np.hstack([target, source[:, list(places)]]).argmax(axis=1)
    return named


def scaled(
    seen: Sequence[FragmentFeatures],
    labels: Labels,
    tested: Sequence[FragmentFeatures],
    places: tuple[int, ...],
) -> NDArray[np.intp]:
    """The same with a factor for the scores of either model and an offset between both.

    Args:
        seen: What target and source say of the samples, to which the three numbers are fitted.
        labels: The place of each sample's class.
        tested: What they say of what is asked.
        places: Of each cloned class its place in the source's scores.
    """

    def logits(numbers: Array, said: Sequence[FragmentFeatures]) -> Array:
        target, source = (one.scores.astype(np.float64) for one in said)
        first, second = np.exp(numbers[:2])
        return np.hstack([first * target, second * source[:, list(places)] + numbers[2]])

    def loss(numbers: Array) -> float:
        return float(log_losses(logits(numbers, seen), labels).mean())

    found = minimize(loss, np.array([-1.0, -1.0, 0.0]), method="Nelder-Mead").x
    named: NDArray[np.intp] = logits(found, tested).argmax(axis=1)
    return named
