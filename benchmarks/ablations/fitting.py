"""What a class is fitted on: views of the samples, unlabelled pictures, and their weights."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from slicer_svc.slicing.samples import Samples, balanced_weights, class_weights

MIXED = 4
"""Mixed pictures for each sample."""

Pictures = NDArray[np.float32]


def mixed_pictures(samples: Samples, seed: int) -> Pictures:
    """Two samples in one picture, mirrored at random.

    Half of them by mixup (Zhang et al., 2018), half by CutMix (Yun et al., 2019).

    Args:
        samples: Of one input `(n, C, H, W)`.
        seed: Of the draws.

    Returns:
        `(4·n, C, H, W)`.
    """
    (own,) = samples.inputs.values()
    random = np.random.default_rng(seed)
    count = MIXED * len(samples)
    first, second = (own[random.integers(0, len(own), count)].astype(np.float32) for _ in "ab")
    shares = random.uniform(0.3, 0.7, count)
    cut = random.random(count) < 0.5
    mixed = np.empty_like(first)
    for place, share in enumerate(shares):
        if cut[place]:
            mixed[place] = _cut_into(first[place], second[place], share, random)
        else:
            mixed[place] = (1 - share) * first[place] + share * second[place]
    flips = random.random(count) < 0.5
    mixed[flips] = mixed[flips][..., ::-1]
    return mixed


def _cut_into(
    whole: Pictures, other: Pictures, share: float, random: np.random.Generator
) -> Pictures:
    """A picture with a rectangle of another one that covers about `share` of it."""
    height, width = whole.shape[1:]
    rows = int(np.ceil(height * np.sqrt(share)))
    columns = min(width, int(np.ceil(share * height * width / rows)))
    top = int(random.integers(0, height - rows + 1))
    left = int(random.integers(0, width - columns + 1))
    place = (slice(None), slice(top, top + rows), slice(left, left + columns))
    found = whole.copy()
    found[place] = other[place]
    return found


def fitting_weights(
    labels: NDArray[np.int64], target: int | None, extra_share: float
) -> NDArray[np.float64]:
    """How much every view counts.

    Args:
        labels: Of every view `(n,)`; `UNLABELLED` for a picture without one.
        target: The class that counts twice all others; None where all count the same.
        extra_share: What pictures without a label have together, where there are any.

    Returns:
        Float64 `(n,)` of sum one.
    """
    if target is None:
        return balanced_weights(labels, extra_share)
    return class_weights(labels, [target], extra_share)
