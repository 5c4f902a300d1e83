import numpy as np
import pytest
import torch

from slicer_svc.slicing.ridge import Moments, Regression, ridge


def moments(x: torch.Tensor, y: torch.Tensor, weights: torch.Tensor, batch: int) -> Moments:
    gathered = Moments()
    positions = len(x) // len(weights)
    for start in range(0, len(weights), batch):
        rows = slice(start * positions, (start + batch) * positions)
        gathered.add(x[rows], y[rows], weights[start : start + batch])
    return gathered


def test_moments_do_not_depend_on_the_minibatch() -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(30, 4, generator=generator), torch.randn(30, 2, generator=generator)
    weights = torch.rand(10, generator=generator, dtype=torch.float64)
    whole, parts = moments(x, y, weights, 10), moments(x, y, weights, 3)
    np.testing.assert_allclose(whole.gram, parts.gram, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(whole.cross, parts.cross, rtol=1e-5, atol=1e-5)
    rows = weights.repeat_interleave(3)
    np.testing.assert_allclose(
        whole.cross, ((x * rows[:, None]).T.double() @ y.double()), rtol=1e-5, atol=1e-5
    )
    np.testing.assert_allclose(
        whole.means[1], (rows @ y.double()) / rows.sum(), rtol=1e-5, atol=1e-6
    )


def test_an_affine_map_is_found_again_under_any_weights() -> None:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(50, 4, generator=generator, dtype=torch.float64) + 3.0
    weight = torch.randn(4, 3, generator=generator, dtype=torch.float64)
    y = x @ weight + torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    weights = torch.rand(50, generator=generator, dtype=torch.float64)
    found, bias = moments(x, y, weights, 7).solve(np.zeros((4, 3)), 1e-9, affine=True)
    np.testing.assert_allclose(found, weight.numpy(), atol=1e-6)
    assert bias is not None
    np.testing.assert_allclose(bias, [1.0, -2.0, 0.5], atol=1e-5)


def test_a_strong_ridge_stays_at_its_centre() -> None:
    random = np.random.default_rng(2)
    x, centre = random.normal(size=(20, 5)), random.normal(size=(5, 2))
    cross = x.T @ random.normal(size=(20, 2))
    np.testing.assert_allclose(ridge(x.T @ x, cross, centre, 1e12), centre, atol=1e-9)


def test_dead_regressors_leave_the_centre_as_it_is() -> None:
    centre = np.ones((3, 2))
    found = ridge(np.zeros((3, 3)), np.zeros((3, 2)), centre, 0.0)
    np.testing.assert_array_equal(found, centre)


def test_a_single_sample_moves_the_bias_and_leaves_the_kernel() -> None:
    x, y = torch.tensor([[1.0, 2.0]]), torch.tensor([[5.0]])
    gathered = moments(x, y, torch.ones(1, dtype=torch.float64), 1)
    centre = np.array([[0.5], [0.25]])
    weight, bias = gathered.solve(centre, 1e-2, affine=True)
    np.testing.assert_allclose(weight, centre, atol=1e-9)
    assert bias is not None
    np.testing.assert_allclose(bias, [4.0], atol=1e-9)


@pytest.mark.parametrize("affine", [True, False])
def test_few_rows_and_many_rows_lead_to_the_same_solution(affine: bool) -> None:
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(24, 6, generator=generator, dtype=torch.float64) + 1.0
    y = torch.randn(24, 2, generator=generator, dtype=torch.float64)
    weights = torch.rand(8, generator=generator, dtype=torch.float64)
    centre = np.random.default_rng(0).normal(size=(6, 2))
    found = []
    for rows in (3, 24):  # Fewer than regressors, so over rows; more, so over regressors.
        regression = Regression(rows, 6)
        regression.add(x[:12], y[:12], weights[:4])
        regression.add(x[12:], y[12:], weights[4:])
        found.append(regression.solve(centre, 1e-2, affine=affine))
    (few, few_bias), (many, many_bias) = found
    np.testing.assert_allclose(few, many, atol=1e-9)
    assert (few_bias is not None) == (many_bias is not None) == affine
    if few_bias is not None and many_bias is not None:
        np.testing.assert_allclose(few_bias, many_bias, atol=1e-9)


def test_more_rows_than_a_product_takes_at_once_add_up_and_stay_positive_definite() -> None:
    generator = torch.Generator().manual_seed(4)
    samples, positions, width = 2500, 8, 600
    # Rows that are nearly the same: what is left without their mean is a millionth of them.
    x = 1.0 + 1e-3 * torch.randn(samples * positions, width, generator=generator)
    y = x[:, :3] + torch.randn(len(x), 3, generator=generator)
    weights = torch.rand(samples, generator=generator, dtype=torch.float64)
    gathered = moments(x, y, weights / weights.sum(), 100)
    rows = (weights / weights.sum()).repeat_interleave(positions)
    exact = (x.double() * rows[:, None]).T @ x.double()
    np.testing.assert_allclose(gathered.gram, exact.numpy(), rtol=1e-5)
    np.testing.assert_array_equal(gathered.gram, gathered.gram.T)
    found, bias = gathered.solve(np.eye(width)[:, :3], 1e-2, affine=True)
    assert bias is not None
    # A ridge of this strength leaves the centre where it is.
    np.testing.assert_allclose(found, np.eye(width)[:, :3], atol=0.02)
