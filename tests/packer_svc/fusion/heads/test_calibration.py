from __future__ import annotations

import numpy as np
import pytest

from packer_svc.fusion.heads.closed_form import calibrate, smoothed_losses


def test_sharpness_is_the_one_of_least_loss_for_every_set_of_scores() -> None:
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 10)
    sizes = np.array([0.1, 1.0, 30.0, 1.0, 1.0])
    scores = random.standard_normal((5, 30, 3)) * sizes[:, None, None]
    scores[:, np.arange(30), labels] += np.abs(scores).mean(axis=(1, 2))[:, None]
    sharpness, losses = calibrate(scores, labels)
    for one, factor, loss in zip(scores, sharpness, losses, strict=True):
        around = [
            float(smoothed_losses(np.exp(step) * factor * one, labels).mean())
            for step in (-0.01, 0.0, 0.01)
        ]
        assert around[1] == pytest.approx(loss)
        assert around[1] <= min(around[0], around[2]) + 1e-9
