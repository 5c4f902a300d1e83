import math

import pytest
import torch

from slicer_svc.slicing.losses import (
    adaptation_loss,
    class_cross_entropy,
    class_logit,
    faithfulness,
    pooling_loss,
    unit_norms,
)


def test_faithfulness_is_the_weighted_mean_squared_distance_of_features() -> None:
    features = torch.tensor([[1.0, 2.0], [0.0, 0.0]])
    original = torch.tensor([[0.0, 0.0], [0.0, 3.0]])
    weights = torch.tensor([0.25, 0.75])
    expected = 0.25 * 5.0 + 0.75 * 9.0
    assert faithfulness(features, original, weights).item() == pytest.approx(expected)


def test_unit_norms_sum_over_units_and_average_over_samples() -> None:
    outputs = torch.zeros(2, 3, 2)
    outputs[0, 0] = torch.tensor([3.0, 4.0])
    outputs[1, 2] = torch.tensor([0.0, 1.0])
    assert unit_norms(outputs).item() == pytest.approx((5.0 + 1.0) / 2, abs=1e-6)


def test_unit_norms_have_a_finite_gradient_at_dead_units() -> None:
    outputs = torch.zeros(2, 3, 1, requires_grad=True)
    unit_norms(outputs).backward()
    assert outputs.grad is not None
    assert torch.isfinite(outputs.grad).all()


def test_the_pooling_loss_falls_when_a_useless_unit_falls_silent() -> None:
    distance = torch.tensor(0.5)
    loud, quiet = torch.ones(4, 3, 1), torch.tensor([1.0, 1.0, 0.0]).repeat(4, 1)[:, :, None]
    assert pooling_loss(distance, loud, 0.1).item() == pytest.approx(0.8)
    assert pooling_loss(distance, quiet, 0.1).item() == pytest.approx(0.7)


def test_the_head_is_the_models_own_probability_of_the_class() -> None:
    scores = torch.tensor([[1.0, 2.0, -1.0], [0.0, 0.0, 0.0]])
    expected = scores.softmax(dim=1)[:, 1]
    torch.testing.assert_close(class_logit(scores, (1,)).sigmoid(), expected)
    assert class_logit(torch.tensor([[3.0]]), (0,)).item() == 3.0


def test_the_adaptation_loss_is_weighted_cross_entropy_plus_gamma_times_consistency() -> None:
    logits, is_class = torch.tensor([0.0, 2.0]), torch.tensor([1.0, 0.0])
    weights = torch.tensor([2 / 3, 1 / 3])
    expected = 2 / 3 * math.log(2) + 1 / 3 * math.log(1 + math.exp(2.0)) + 0.5 * 7.0
    cross_entropy = class_cross_entropy(logits, is_class, weights)
    loss = adaptation_loss(cross_entropy, torch.tensor(7.0), 0.5)
    assert loss.item() == pytest.approx(expected, rel=1e-5)
