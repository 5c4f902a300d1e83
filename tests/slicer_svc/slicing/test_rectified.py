import numpy as np
import onnx_ir as ir
import pytest
import torch

from onnxgraph.normalise import normalise
from onnxgraph.serialise import from_trusted_bytes
from slicer_svc.slicing.rectified import RectifiedRegression, floor_behind
from slicer_svc.slicing.ridge import Regression
from tests.helpers.torch_models import export_with

FLOOR = 0.5


def rows(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 6, generator=generator)
    y = x @ torch.randn(6, 3, generator=generator) + 2 * torch.randn(count, 3, generator=generator)
    return x, y, torch.rand(count // 2, generator=generator, dtype=torch.float64)


def missed(
    x: torch.Tensor, y: torch.Tensor, weights: torch.Tensor, solution: tuple[np.ndarray, np.ndarray]
) -> float:
    """The weighted squared error of what is above the floor."""
    weight, bias = (torch.from_numpy(part).float() for part in solution)
    fitted = torch.clamp(x @ weight + bias, min=FLOOR)
    squares = (fitted - torch.clamp(y, min=FLOOR)).square().sum(dim=1)
    return float(weights.repeat_interleave(len(x) // len(weights)).float() @ squares)


@pytest.mark.parametrize("count", [400, 4])
def test_what_the_rectifier_hides_is_given_up_for_what_it_shows(count: int) -> None:
    x, y, weights = rows(count, seed=count)
    centre = np.zeros((6, 3))
    plain = Regression(count, 6)
    rectified = RectifiedRegression(count, 6, torch.full((3,), FLOOR))
    for gathered in (plain, rectified):
        half = count // 2
        gathered.add(x[:half], y[:half], weights[: len(weights) // 2])
        gathered.add(x[half:], y[half:], weights[len(weights) // 2 :])
    solutions = []
    for gathered in (plain, rectified):
        weight, bias = gathered.solve(centre, 1e-3, affine=True)
        assert bias is not None
        solutions.append((weight, bias))
    assert missed(x, y, weights, solutions[1]) <= missed(x, y, weights, solutions[0])
    if count > 6:
        assert missed(x, y, weights, solutions[1]) < 0.97 * missed(x, y, weights, solutions[0])


def test_a_floor_below_all_values_changes_nothing() -> None:
    x, y, weights = rows(40, seed=1)
    plain, rectified = Regression(40, 6), RectifiedRegression(40, 6, torch.full((3,), -1e6))
    centre = np.ones((6, 3))
    for gathered in (plain, rectified):
        gathered.add(x, y, weights)
    for expected, found in zip(
        plain.solve(centre, 1e-2, affine=True),
        rectified.solve(centre, 1e-2, affine=True),
        strict=True,
    ):
        assert expected is not None
        assert found is not None
        np.testing.assert_allclose(found, expected, atol=1e-5)


class Behind(torch.nn.Module):
    def __init__(self, function: torch.nn.Module, *, read_twice: bool = False) -> None:
        super().__init__()
        self.first = torch.nn.Linear(4, 5)
        self.function = function
        self.last = torch.nn.Linear(5, 3)
        self.read_twice = read_twice

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.first(x)
        seen = self.function(hidden)
        if self.read_twice:
            seen = seen + hidden
        scores: torch.Tensor = self.last(seen)
        return scores


def exported(module: torch.nn.Module) -> ir.Model:
    return normalise(
        from_trusted_bytes(export_with(module.eval(), (torch.ones(2, 4),), dynamo=False, opset=17))
    )


@pytest.mark.parametrize(
    ("function", "floor"),
    [
        (torch.nn.ReLU(), 0.0),
        (torch.nn.ReLU6(), 0.0),
        (torch.nn.Hardtanh(-2.0, 2.0), -2.0),
        (torch.nn.Hardswish(), -3.0),
    ],
)
def test_the_floor_is_that_of_the_rectifier_less_the_bias(
    function: torch.nn.Module, floor: float
) -> None:
    module = Behind(function)
    model = exported(module)
    linear = next(node.name for node in model.graph if node.op_type in ("Gemm", "MatMul"))
    assert linear is not None
    found = floor_behind(model, linear)
    assert found is not None
    np.testing.assert_allclose(found, floor - module.first.bias.detach().numpy(), atol=1e-6)


@pytest.mark.parametrize(
    "module", [Behind(torch.nn.GELU()), Behind(torch.nn.ReLU(), read_twice=True)]
)
def test_there_is_no_floor_where_something_else_reads_the_outputs(module: Behind) -> None:
    model = exported(module)
    linear = next(node.name for node in model.graph if node.op_type in ("Gemm", "MatMul"))
    assert linear is not None
    assert floor_behind(model, linear) is None
