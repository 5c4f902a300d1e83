"""The search experiment's own parts: markets, truths, rankings."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest

from benchmarks.market.search.catalogue import (
    HETEROGENEOUS,
    HOMOGENEOUS,
    Entry,
    Part,
    classes_of,
    market,
)
from benchmarks.market.search.pictures import Pictures, resized
from benchmarks.market.search.ranking import described, hits, taus
from benchmarks.market.search.tasks import (
    Task,
    accuracy_by_assignment,
    accuracy_by_name,
    confusion,
    draw_tasks,
)
from benchmarks.paper.tasks import DataSet

ENTRY = Entry(DataSet.CIFAR100, (3, 7, 9), HOMOGENEOUS[0], 0)


def task(*classes: int) -> Task:
    nothing = np.zeros(0, dtype=np.int64)
    return Task(DataSet.CIFAR100, classes, nothing, nothing, 32)


def test_no_class_that_settings_were_chosen_on_is_reported() -> None:
    parts = [market(part, HOMOGENEOUS, 0) for part in (Part.TUNING, Part.REPORTED)]
    tuning, reported = (set(classes_of(entries, DataSet.CIFAR100)) for entries in parts)
    assert len(tuning) == len(reported) == 50
    assert not tuning & reported
    assert len(parts[1]) == 24


def test_every_class_is_known_by_two_models_of_a_market() -> None:
    entries = market(Part.REPORTED, HETEROGENEOUS, 0)
    known = [(one.data, label) for one in entries for label in one.classes]
    assert {known.count(pair) for pair in known} == {2}
    assert {one.kind for one in entries} == set(HETEROGENEOUS)


def test_a_user_has_no_picture_that_accuracy_is_measured_on() -> None:
    labels = np.repeat(np.arange(100), 6)
    pixels = np.zeros((len(labels), 32, 32, 3), dtype=np.uint8)
    test = {data: Pictures(data.value, pixels, labels, tuple("abc")) for data in DataSet}
    for one in draw_tasks(market(Part.REPORTED, HOMOGENEOUS, 0), test, 30, 2, 0):
        assert not set(one.shown) & set(one.held_out)
        assert len(one.shown) == 2 * len(one.classes)
        assert len(one.held_out) == 4 * len(one.classes)


def test_a_model_cannot_answer_what_it_does_not_know() -> None:
    outputs = np.eye(3)[[0, 0, 1, 2]].astype(np.float32)
    shares = confusion(outputs, np.array([0, 0, 1, 1]), 2)
    assert shares.tolist() == [[1.0, 0.0, 0.0], [0.0, 0.5, 0.5]]
    assert accuracy_by_name(shares, task(3, 4), ENTRY) == 0.5
    assert accuracy_by_name(shares, task(4, 9), ENTRY) == 0.25
    assert accuracy_by_name(shares, task(1, 2), ENTRY) == 0.0
    assert accuracy_by_assignment(shares) == 0.75


def test_two_classes_are_never_translated_from_the_same_answer() -> None:
    assert accuracy_by_assignment(np.array([[1.0, 0.0], [0.9, 0.1]])) == pytest.approx(0.55)


def test_a_hit_is_a_most_accurate_model_among_the_first() -> None:
    scores = np.array([[0.9, 0.5, 0.1, 0.0], [0.1, 0.2, 0.3, 0.4]])
    accuracies = np.array([[0.2, 0.8, 0.8, 0.1], [0.9, 0.1, 0.1, 0.1]])
    assert hits(scores, accuracies).tolist() == [[0.0, 1.0, 1.0], [0.0, 0.0, 0.0]]


def test_equal_order_correlates_fully_and_no_order_not_at_all() -> None:
    accuracies = np.array([[0.1, 0.2, 0.9], [0.1, 0.2, 0.9]])
    scores = np.array([[1.0, 2.0, 3.0], [5.0, 5.0, 5.0]])
    assert taus(scores, accuracies).tolist() == [pytest.approx(1.0), 0.0]


def test_figures_come_with_intervals_around_them() -> None:
    random = np.random.default_rng(0)
    accuracies = random.random((40, 6))
    found = described(accuracies + 0.3 * random.random((40, 6)), {"name": accuracies}, 0)
    interval = found["precision_at_1_interval"]
    assert isinstance(interval, list)
    assert interval[0] <= cast("float", found["precision_at_1"]) <= interval[1]


def test_pictures_are_resized_by_means_of_areas() -> None:
    pixels = np.zeros((1, 32, 32, 3), dtype=np.uint8)
    pixels[0, ::2] = 200
    assert (resized(pixels, 16) == 100).all()
    assert resized(pixels, 32) is pixels
