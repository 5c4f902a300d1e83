"""The k samples of each class: all that slicing, heads and baselines are given."""

from __future__ import annotations

import numpy as np

from benchmarks.paper.corpus import Corpus, Inputs, Rows
from benchmarks.paper.tasks import Classes
from slicer_svc.slicing.samples import Samples


class TooFewExamplesError(Exception):
    """A class has fewer training examples than samples are wanted."""


class Draw:
    """One draw of k samples a class from the origins' training examples.

    Args:
        corpus: The data set.
        k: Samples of a class.
        seed: The seed of the run.
        number: Which draw of the run this is. Equal seeds and numbers give equal samples.
    """

    def __init__(self, corpus: Corpus, k: int, seed: int, number: int) -> None:
        self._corpus = corpus
        self._k = k
        self._key = (seed, number)

    @property
    def seed(self) -> int:
        """A seed for what is drawn later on these samples: views, folds, new weights."""
        return int(np.random.SeedSequence(self._key).generate_state(1)[0])

    def rows(self, label: int) -> Rows:
        """The training rows drawn for a class.

        Raises:
            TooFewExamplesError: The class has fewer than k.
        """
        members = self._corpus.train.rows_of((label,))
        if len(members) < self._k:
            raise TooFewExamplesError(
                f"{self._corpus.names[label]} has {len(members)} training examples, not {self._k}"
            )
        random = np.random.default_rng((*self._key, label))
        return np.sort(random.choice(members, self._k, replace=False))

    def samples(self, classes: Classes, name: str) -> Samples:
        """The samples of some classes, labelled by their place in `classes`.

        Args:
            classes: Classes of the data set: an origin's, or a pack's.
            name: What the networks' input is called.
        """
        rows = np.concatenate([self.rows(label) for label in classes])
        return labelled(self._corpus.train.read(rows), name, len(classes), self._k)


def labelled(inputs: Inputs, name: str, classes: int, k: int) -> Samples:
    """Samples that come class by class, k of each."""
    return Samples({name: inputs}, np.repeat(np.arange(classes, dtype=np.int64), k))
