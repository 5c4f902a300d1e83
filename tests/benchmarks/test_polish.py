"""Heads that are trained on from the closed form."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.polish import STEPS, chosen, main, polished
from packer_svc.fusion.heads.closed_form import smoothed_losses
from packer_svc.fusion.heads.fit import fit_head
from packer_svc.fusion.heads.spec import HeadSpec
from tests.helpers.fragments import gaussian_features
from tests.helpers.tiny_pictures import write_tiny_cifar10


def test_no_step_is_the_closed_form_and_every_step_lowers_the_loss() -> None:
    features, labels = gaussian_features(3, 8, (6, 9))
    found = polished(features, labels, features)
    head, _ = fit_head(features, labels, 3, HeadSpec())
    assert (found[0].argmax(1) == head.torch().probabilities(features).numpy().argmax(1)).all()
    losses = smoothed_losses(found, labels).mean(axis=-1)
    assert (np.diff(losses) < 0).all()


def test_steps_are_chosen_only_where_they_are_clearly_better() -> None:
    losses = np.ones((len(STEPS), 50))
    losses[3] += np.tile([0.1, -0.12], 25)
    assert chosen(losses) == 0
    losses[3] -= 0.5
    assert chosen(losses) == 3


@pytest.mark.slow
def test_the_document_tells_all_numbers_of_steps(tmp_path: Path) -> None:
    write_tiny_cifar10(tmp_path, train=40, test=32)
    out = tmp_path / "out"
    given = [
        *("--task", "T1", "--arch", "vgg16", "--k", "5", "--width", "0.0625", "--threads", "1"),
        *("--method", "closed_form", "--budget-macs", "0.5", "--block", "1"),
        *("--data", str(tmp_path), "--out", str(out)),
    ]
    assert main(given) == 0
    (path,) = out.glob("polish-*.json")
    found = json.loads(path.read_text())
    assert len(found["accuracy"]) == len(found["loss"]) == len(STEPS)
    assert set(found["chosen_steps"]) <= set(STEPS)
    assert main(given) == 2
