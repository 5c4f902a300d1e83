"""Whether probabilities may be taken at their word: 0.8 is right four times of five.

Guo et al., On Calibration of Modern Neural Networks (2017), equations 3 and 5.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

BINS = 10
"""Of equal width over [0, 1]."""


@dataclass(frozen=True)
class Bin:
    """The samples whose largest probability lies in one interval.

    Attributes:
        above: Its lower end, which belongs to the interval before but for the first.
        up_to: Its upper end, which belongs to it.
        samples: How many there are, at least one.
        confidence: The mean of their largest probabilities.
        accuracy: The share of them whose largest probability is their class's.
    """

    above: float
    up_to: float
    samples: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Reliability:
    """Confidence against accuracy.

    Attributes:
        bins: Those with samples, in order.
        expected_calibration_error: The mean distance of confidence and accuracy of the bins, each
            weighted by its samples.
    """

    bins: tuple[Bin, ...]
    expected_calibration_error: float

    @classmethod
    def of(cls, logits: Array, labels: Labels) -> "Reliability":
        """Bins samples by the largest probability of their softmax.

        Args:
            logits: `(n, C)`.
            labels: The class of each sample `(n,)`.
        """
        shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
        confidence = 1.0 / shifted.sum(axis=1)
        right = logits.argmax(axis=1) == labels
        places = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
        bins = []
        for place in np.unique(places).tolist():
            chosen = places == place
            bins.append(
                Bin(
                    above=place / BINS,
                    up_to=(place + 1) / BINS,
                    samples=int(chosen.sum()),
                    confidence=float(confidence[chosen].mean()),
                    accuracy=float(right[chosen].mean()),
                )
            )
        apart = sum(one.samples * abs(one.confidence - one.accuracy) for one in bins)
        return cls(tuple(bins), apart / len(labels))
