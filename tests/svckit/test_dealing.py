"""Which samples are held out together."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from svckit.dealing import NEVER, deal, held_out, sample_digests
from svckit.folds import Fold

FOLDS = 5


def drawn(count: int, seed: int = 0) -> dict[str, npt.NDArray[np.float32]]:
    return {"x": np.random.default_rng(seed).random((count, 2, 3)).astype(np.float32)}


@pytest.mark.parametrize(("per_class", "most"), [(2, 1), (7, 2), (20, 4)])
def test_every_fold_has_its_share_of_every_class(per_class: int, most: int) -> None:
    labels = np.tile(np.arange(3), per_class)
    dealt = deal(labels, sample_digests(drawn(len(labels))), FOLDS, seed=3)
    for label in range(3):
        shares = np.bincount(dealt[labels == label], minlength=FOLDS)
        assert shares.sum() == per_class
        assert shares.max() == most
        assert shares.max() - shares.min() <= 1


def test_a_class_is_dealt_alike_in_any_order_and_any_company() -> None:
    inputs, labels = drawn(30), np.repeat(np.arange(3), 10)
    digests = sample_digests(inputs)
    dealt = deal(labels, digests, FOLDS, seed=1)
    order = np.random.default_rng(9).permutation(np.flatnonzero(labels != 0))
    alone = {"renamed": inputs["x"][order]}
    assert (deal(labels[order] - 1, sample_digests(alone), FOLDS, seed=1) == dealt[order]).all()


def test_another_seed_deals_otherwise() -> None:
    labels, digests = np.zeros(40, np.int64), sample_digests(drawn(40))
    assert (deal(labels, digests, FOLDS, 0) != deal(labels, digests, FOLDS, 1)).any()


def test_equal_samples_are_held_out_together_whatever_they_are_called() -> None:
    inputs, labels = drawn(12), np.repeat([0, 1], 6)
    # One sample three times in its class, and once mislabelled.
    inputs["x"][[1, 2, 7]] = inputs["x"][0]
    digests = sample_digests(inputs)
    masks = [held_out(labels, digests, Fold(index, FOLDS)) for index in range(FOLDS)]
    for mask in masks:
        assert len({bool(mask[place]) for place in (0, 1, 2, 7)}) == 1
    dealt = deal(labels, digests, FOLDS, 0)
    assert dealt[0] == dealt[1] == dealt[2]


def test_the_only_sample_of_a_class_is_never_held_out() -> None:
    inputs, labels = drawn(7), np.array([0, 0, 0, 0, 1, 2, 2])
    inputs["x"][6] = inputs["x"][5]
    dealt = deal(labels, sample_digests(inputs), FOLDS, 0)
    assert (dealt[4:] == NEVER).all()
    assert (dealt[:4] != NEVER).all()


def test_type_and_shape_belong_to_a_sample() -> None:
    floats = np.zeros((1, 4), np.float32)
    found = {
        sample_digests({"x": array})[0]
        for array in (floats, floats.reshape(1, 2, 2), floats.view(np.int32))
    }
    assert len(found) == 3
    two = {"a": floats, "b": np.ones((1, 4), np.float32)}
    assert sample_digests(two) == sample_digests({"z": two["a"], "y": two["b"]})
