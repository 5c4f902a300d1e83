from __future__ import annotations

import numpy as np
import pytest

from benchmarks.paper.head import fit_ensemble
from packer_svc.fusion.features import FragmentFeatures

CLASSES = 3


def outputs(labels: np.ndarray, seed: int, clear: float) -> list[FragmentFeatures]:
    random = np.random.default_rng(seed)
    return [
        FragmentFeatures(
            random.normal(clear * (labels[:, None] == own), 1.0, (len(labels), 12)).astype("f4"),
            random.normal(clear * (labels[:, None] == own), 1.0, (len(labels), 2)).astype("f4"),
        )
        for own in range(CLASSES)
    ]


@pytest.mark.parametrize("k", [1, 2, 10])
def test_an_ensemble_tells_clear_classes_apart(k: int) -> None:
    labels = np.repeat(np.arange(CLASSES), k)
    head = fit_ensemble(outputs(labels, 0, 4.0), labels, CLASSES, seed=0)
    unseen = np.repeat(np.arange(CLASSES), 100)
    right = head.logits(outputs(unseen, 1, 4.0)).argmax(axis=1) == unseen
    assert right.mean() > 0.9


def test_two_classes_are_told_apart_whichever_head_is_chosen() -> None:
    labels = np.repeat(np.arange(2), 8)
    head = fit_ensemble(outputs(labels, 0, 4.0)[:2], labels, 2, seed=0)
    unseen = np.repeat(np.arange(2), 100)
    logits = head.logits(outputs(unseen, 1, 4.0)[:2])
    assert logits.shape == (200, 2)
    assert (logits.argmax(axis=1) == unseen).mean() > 0.9


def test_outputs_that_say_nothing_keep_the_packers_head() -> None:
    labels = np.repeat(np.arange(CLASSES), 10)
    names = {
        fit_ensemble(outputs(labels, seed, 0.0), labels, CLASSES, seed=0).name for seed in range(4)
    }
    assert any(name.startswith("lda") for name in names)
