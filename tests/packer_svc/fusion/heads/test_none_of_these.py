"""The score that an input belongs to no class of a pack."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from packer_svc.fusion.errors import FusionError, FusionReason
from packer_svc.fusion.features import FragmentFeatures
from packer_svc.fusion.heads.columns import blocks
from packer_svc.fusion.heads.none_of_these import (
    OUTSIDE,
    OWN,
    NoneSamples,
    fit_none_of_these,
)
from packer_svc.fusion.heads.spec import HeadInputs
from packer_svc.fusion.roc import roc
from tests.helpers.fragments import gaussian_features

Labels = npt.NDArray[np.int64]

WIDTHS = (24, 16, 20)
KNOWN = 7
"""Gaussian classes: three of the pack, four outside; three strangers are drawn beside them."""
MADE, MADE_LABELS = gaussian_features(KNOWN + 3, 40, WIDTHS)
MOST_SHOWN = 10


def samples(classes: int = 3, known: int = KNOWN, per_class: int = MOST_SHOWN) -> NoneSamples:
    """The first `classes` of `known` classes are the pack's, each fragment cut for one."""
    features, labels = MADE, MADE_LABELS
    rows = np.flatnonzero((labels < known) & (np.arange(len(labels)) % 40 < per_class))
    serves = [[place % classes] for place in range(len(WIDTHS))]
    return NoneSamples([part.rows(rows) for part in features], labels[rows], classes, serves)


def scores(
    shown: NoneSamples, inputs: HeadInputs = HeadInputs.BOTH
) -> tuple[npt.NDArray[np.float64], Labels]:
    """Scores of new samples of all classes, and their labels."""
    found, _ = fit_none_of_these(shown, 0, inputs)
    new = np.flatnonzero(np.arange(len(MADE_LABELS)) % 40 >= MOST_SHOWN)
    return found.probability([part.rows(new) for part in MADE])[:, 0], MADE_LABELS[new]


@pytest.mark.parametrize("inputs", list(HeadInputs))
def test_unseen_samples_outside_have_higher_scores(inputs: HeadInputs) -> None:
    found, labels = scores(samples(), inputs)
    inside = found[labels < 3]

    assert found.min() >= 0.0
    assert found.max() <= 1.0
    assert roc(inside, found[(labels >= 3) & (labels < KNOWN)]).auc > 0.85
    assert roc(inside, found[labels >= KNOWN]).auc > 0.7


def test_the_score_is_a_probability_at_even_odds() -> None:
    found, labels = scores(samples())
    even = np.concatenate([found[labels < 3], found[labels >= KNOWN]])
    assert abs(even.mean() - 0.5) < 0.1


def test_one_layer_on_raw_columns_equals_the_parts() -> None:
    shown = samples()
    found, _ = fit_none_of_these(shown, 0)
    layer = found.folded()
    columns = np.concatenate(blocks(shown.features, HeadInputs.BOTH), axis=1)
    least = (columns @ layer.weight + layer.bias).min(axis=1, keepdims=True)

    np.testing.assert_allclose(
        1 / (1 + np.exp(-least)), found.probability(shown.features), atol=1e-12
    )


def test_the_curve_is_of_whole_classes_that_the_score_has_not_seen() -> None:
    # Outside classes without any structure in common: one that is left out is beyond learning
    # where it lies in the very place of a class of the pack.
    shown = samples(known=4)
    twin = np.flatnonzero(shown.labels == 0)
    features = [
        FragmentFeatures(
            np.concatenate([part.features[shown.labels < 3], part.features[twin] + 0.01]),
            np.concatenate([part.scores[shown.labels < 3], part.scores[twin]]),
        )
        for part in shown.features
    ]
    labels = np.concatenate([shown.labels[shown.labels < 3], np.full(len(twin), 3)])
    _, report = fit_none_of_these(NoneSamples(features, labels, 3, shown.serves), 0)

    assert report.origin == OUTSIDE
    assert report.roc.auc < 0.6


@pytest.mark.parametrize(
    ("known", "origin", "outside"), [(KNOWN, OUTSIDE, 40), (4, OUTSIDE, 10), (3, OWN, 30)]
)
def test_the_report_says_what_stood_for_outside(known: int, origin: str, outside: int) -> None:
    _, report = fit_none_of_these(samples(known=known), 0)
    told = report.to_json()

    assert (told["origin"], told["samples_outside"]) == (origin, outside)
    assert report.samples_inside <= 30
    assert 0.5 < report.roc.auc <= 1.0
    assert 0.0 < report.roc.threshold < 1.0


def test_equal_samples_and_seeds_give_equal_scores() -> None:
    first, _ = scores(samples())
    second, _ = scores(samples())
    np.testing.assert_array_equal(first, second)


def test_the_fragment_of_a_class_that_is_left_out_is_not_asked() -> None:
    # The third fragment alone knows class 2; without it nothing tells class 2 from class 0.
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 12)
    place = (labels == 1) * 4.0
    features = [
        FragmentFeatures(
            (shift[:, None] + random.normal(size=(36, 6))).astype(np.float32),
            random.normal(size=(36, 3)).astype(np.float32),
        )
        for shift in (place, place, place + (labels == 2) * 50.0)
    ]
    known = NoneSamples(features, labels, 3, [[0], [1], [2]])
    cheating = NoneSamples(features, labels, 3, [[0], [1], [0]])
    honest, told = (
        fit_none_of_these(one, 0, HeadInputs.FEATURES)[1].roc.auc for one in (known, cheating)
    )
    assert honest != told


@pytest.mark.parametrize("outside", [0, 3])
def test_a_class_of_one_sample_is_refused(outside: int) -> None:
    shown = samples(known=3 + outside)
    rows = np.flatnonzero((shown.labels != 1) | (np.arange(len(shown.labels)) == 10))
    lacking = NoneSamples(
        [part.rows(rows) for part in shown.features], shown.labels[rows], 3, shown.serves
    )
    with pytest.raises(FusionError, match="one sample only") as refused:
        fit_none_of_these(lacking, 0)
    assert refused.value.reason is FusionReason.NONE_OF_THESE_UNSUPPORTED


def test_two_classes_and_nothing_outside_are_refused() -> None:
    with pytest.raises(FusionError, match="no class outside") as refused:
        fit_none_of_these(samples(classes=2, known=2), 0)
    assert refused.value.reason is FusionReason.NONE_OF_THESE_UNSUPPORTED


def test_two_classes_of_two_samples_and_one_sample_outside_are_enough() -> None:
    shown = samples(classes=2, known=3, per_class=2)
    rows = np.arange(5)
    few = NoneSamples(
        [part.rows(rows) for part in shown.features], shown.labels[rows], 2, shown.serves
    )
    _, report = fit_none_of_these(few, 0)
    assert (report.samples_inside, report.samples_outside) == (4, 1)


def test_more_classes_than_rounds_are_left_out_together() -> None:
    features, labels = gaussian_features(23, 3, WIDTHS, seed=3)
    known = NoneSamples(features, labels, 23, [[0], [1], [2]])
    _, report = fit_none_of_these(known, 0)
    assert (report.origin, report.samples_outside) == (OWN, 69)


def test_columns_that_never_change_and_a_fragment_that_says_nothing_do_no_harm() -> None:
    shown = samples()
    dead = FragmentFeatures(
        np.zeros_like(shown.features[0].features), np.ones_like(shown.features[0].scores)
    )
    known = NoneSamples([*shown.features, dead], shown.labels, 3, [*shown.serves, [0]])
    found, report = fit_none_of_these(known, 0)
    assert np.isfinite(found.folded().weight).all()
    assert report.roc.auc > 0.8
