"""Which samples are held out together: one rule for whoever slices and whoever judges.

The services agree on it by the same file of samples alone, so nothing but the fold's number need be
told. The hash makes the dealing independent of the order and of the company in a file: a class that
two models were submitted with alike is dealt alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from svckit.folds import FEWEST, Fold

NEVER: Final = -1
"""The fold of a sample that is never held out: the only one of its class."""


def sample_digests(inputs: Mapping[str, npt.NDArray[np.generic]]) -> list[str]:
    """A digest of every sample's bytes, whatever its inputs are called.

    Args:
        inputs: One array per input by its name, first axis the sample.

    Returns:
        Hexadecimal digits, one text a sample; equal for samples of equal types, shapes and bytes.
    """
    columns = [_row_digests(array) for array in inputs.values()]
    return [hashlib.sha256(b"".join(sorted(row))).hexdigest() for row in zip(*columns, strict=True)]


def _row_digests(array: npt.NDArray[np.generic]) -> list[bytes]:
    kind = f"{array.dtype.str} {array.shape[1:]}".encode()
    rows = np.ascontiguousarray(array)
    return [hashlib.sha256(kind + row.tobytes()).digest() for row in rows]


def deal(
    labels: npt.NDArray[np.int64], digests: Sequence[str], folds: int, seed: int
) -> npt.NDArray[np.int64]:
    """The fold of every sample, stratified by class.

    Args:
        labels: Class index of every sample `(n,)`.
        digests: What `sample_digests` says of them.
        folds: How many folds there are.
        seed: Of the dealing.

    Returns:
        Int64 `(n,)`, from 0 on, or `NEVER`. The folds' shares of a class's distinct samples differ
        by one at most.
    """
    dealt = np.full(len(labels), NEVER, dtype=np.int64)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label).tolist()
        keys = {digests[place]: _key(digests[place], seed) for place in members}
        if len(keys) < FEWEST:
            continue
        ordered = sorted(keys, key=keys.__getitem__)
        # Where there are fewer samples than folds, classes leave out others of them.
        first = int(keys[ordered[0]], 16)
        fold_of = {digest: (first + rank) % folds for rank, digest in enumerate(ordered)}
        dealt[members] = [fold_of[digests[place]] for place in members]
    return dealt


def _key(digest: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}\n{digest}".encode()).hexdigest()


def held_out(
    labels: npt.NDArray[np.int64], digests: Sequence[str], fold: Fold
) -> npt.NDArray[np.bool_]:
    """Whether a sample is in a fold, `(n,)`; one equal to another that is, is so too."""
    dealt = deal(labels, digests, fold.folds, fold.seed)
    taken = {digests[place] for place in np.flatnonzero(dealt == fold.index).tolist()}
    return np.array([digest in taken for digest in digests], dtype=np.bool_)
