"""A part of a model's samples, held out to judge by; `dealing` says which samples are in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

FEWEST: Final = 2
MOST: Final = 20
"""How many folds there may be."""


@dataclass(frozen=True)
class Fold:
    """One part of the samples of a model.

    Attributes:
        index: Which one, from 0 on.
        folds: How many there are.
        seed: Of the dealing.
    """

    index: int
    folds: int
    seed: int = 0
