"""What is told of samples that a head had not seen."""

from __future__ import annotations

import numpy as np
import pytest

from packer_svc.fusion.heads.folds import confusion_of, cross_validate, recall_of
from packer_svc.fusion.heads.reliability import BINS, Reliability


def test_confusion_counts_truths_by_answers() -> None:
    truth = np.array([0, 0, 0, 1, 1, 2])
    named = np.array([0, 0, 1, 1, 1, 0])
    counts = confusion_of(truth, named, 4)
    assert counts == ((2, 1, 0, 0), (0, 2, 0, 0), (1, 0, 0, 0), (0, 0, 0, 0))
    assert recall_of(counts) == (2 / 3, 1.0, 0.0, None)


def test_confusion_and_reliability_are_of_the_held_out_samples() -> None:
    labels = np.repeat(np.arange(3), 10)
    drawn = np.random.default_rng(0).standard_normal((30, 3))
    drawn[np.arange(30), labels] += 1.5
    found = cross_validate(labels, 0, lambda _, held: drawn[held])
    assert found is not None
    right = sum(row[place] for place, row in enumerate(found.confusion))
    assert right / 30 == pytest.approx(found.accuracy)
    assert [sum(row) for row in found.confusion] == [10, 10, 10]
    assert sum(one.samples for one in found.reliability.bins) == 30
    accuracy = sum(one.samples * one.accuracy for one in found.reliability.bins) / 30
    assert accuracy == pytest.approx(found.accuracy)


def _logits(confidence: list[float]) -> np.ndarray:
    """Logits of two classes, the first one with this probability."""
    given = np.array(confidence)
    return np.stack([np.log(given), np.log1p(-given)], axis=1)


def test_a_head_that_is_as_sure_as_it_is_right_is_calibrated() -> None:
    labels = np.array([0, 0, 0, 1] * 25)
    found = Reliability.of(_logits([0.75] * 100), labels)
    [one] = found.bins
    assert (one.above, one.up_to, one.samples) == (0.7, 0.8, 100)
    assert one.confidence == pytest.approx(one.accuracy) == pytest.approx(0.75)
    assert found.expected_calibration_error == pytest.approx(0.0)


def test_the_error_is_the_mean_distance_weighted_by_samples() -> None:
    found = Reliability.of(_logits([0.95, 0.95, 0.95, 0.65]), np.array([0, 0, 1, 1]))
    low, high = found.bins
    assert (low.samples, high.samples) == (1, 3)
    expected = (1 * 0.65 + 3 * (0.95 - 2 / 3)) / 4
    assert found.expected_calibration_error == pytest.approx(expected)


def test_the_surest_answer_is_in_the_last_bin() -> None:
    found = Reliability.of(np.array([[1000.0, -1000.0]]), np.array([0]))
    [one] = found.bins
    assert (one.above, one.up_to, one.confidence) == ((BINS - 1) / BINS, 1.0, 1.0)
