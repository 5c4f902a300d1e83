"""The demo's data: scikit-learn's handwritten digits, split for training, market and test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

MARKET_PER_CLASS = 20
TEST_PER_CLASS = 60

Images = NDArray[np.float32]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class LabelledDigits:
    """Digits with their classes.

    Attributes:
        images: (n, 1, 8, 8), values in [0, 1].
        labels: (n,), the digit.
    """

    images: Images
    labels: Labels

    def only(self, digits: Sequence[int]) -> LabelledDigits:
        """Returns the samples of some digits, labelled by their place in ``digits``."""
        chosen = np.isin(self.labels, digits)
        place = {digit: index for index, digit in enumerate(digits)}
        labels = np.array([place[int(label)] for label in self.labels[chosen]], dtype=np.int64)
        return LabelledDigits(self.images[chosen], labels)


@dataclass(frozen=True)
class DigitSplit:
    """Disjoint parts of the digits.

    Attributes:
        train: what the origins are trained on; never leaves their owners.
        market: the 20 samples a class that a submission carries.
        test: at least 60 digits a class that nothing has seen.
    """

    train: LabelledDigits
    market: LabelledDigits
    test: LabelledDigits


def split_digits(seed: int) -> DigitSplit:
    """Splits scikit-learn's 1,797 digits per class at random.

    Args:
        seed: the seed of the split.

    Returns:
        The three parts.
    """
    bunch = load_digits()
    images = (bunch.images / 16.0).astype(np.float32)[:, None]
    labels = bunch.target.astype(np.int64)
    generator = np.random.default_rng(seed)
    market, test, train = [], [], []
    for digit in range(10):
        places = generator.permutation(np.flatnonzero(labels == digit))
        market.append(places[:MARKET_PER_CLASS])
        test.append(places[MARKET_PER_CLASS : MARKET_PER_CLASS + TEST_PER_CLASS])
        train.append(places[MARKET_PER_CLASS + TEST_PER_CLASS :])
    return DigitSplit(
        *(
            LabelledDigits(images[np.concatenate(part)], labels[np.concatenate(part)])
            for part in (train, market, test)
        )
    )
