"""What every method is given for one pack: samples and originals, and the test examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.paper.corpus import Inputs
from benchmarks.paper.features import FeatureStore
from benchmarks.paper.originals import Original
from slicer_svc.slicing.augmentation import Augmentation
from slicer_svc.slicing.samples import Samples

Labels = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Trial:
    """One pack of one draw.

    Attributes:
        originals: The origin of each class, in the pack's order; one that gives several classes
            occurs several times.
        places: The index of each class in its origin's scores.
        samples: k of each class, labelled by their place in the pack.
        augmentation: What may be done to them and leaves them in their class.
        views: Views of every sample, where a method trains on any.
        seed: For whatever a method draws.
        test: Inputs of the test examples; they make up no choice.
        store: What runs graphs.
    """

    originals: Sequence[Original]
    places: Sequence[int]
    samples: Samples
    augmentation: Augmentation
    views: int
    seed: int
    test: Mapping[str, Inputs]
    store: FeatureStore

    @property
    def classes(self) -> int:
        """Classes of the pack."""
        return len(self.places)

    @property
    def different(self) -> tuple[Original, ...]:
        """Each original once, in the order of its first class."""
        return tuple({id(original): original for original in self.originals}.values())


@dataclass(frozen=True, eq=False)
class Answers:
    """What a method made of one pack.

    Attributes:
        guesses: Places in the pack for each test example `(n,)`.
        chosen: What it chose, in a word, for the record.
    """

    guesses: Labels
    chosen: str


Baseline = Callable[[Trial], Answers]
