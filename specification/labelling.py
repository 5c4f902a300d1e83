"""What is known of samples' classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Labelling:
    """What is known of the samples' classes.

    Attributes:
        names: What the classes are called, by label.
        labels: int64 `(N,)`.
        outputs: The model's class probabilities `(N, K)`; None for a user's samples.
    """

    names: tuple[str, ...]
    labels: NDArray[np.int64]
    outputs: NDArray[np.floating] | None = None
