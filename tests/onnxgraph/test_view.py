"""A graph as a torch module."""

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from onnx_ir.passes.common import LiftConstantsToInitializersPass

from onnxgraph.errors import GraphError, GraphReason
from onnxgraph.parity import run_onnx
from onnxgraph.view import TorchView
from tests.helpers.graph_builder import DrawnGraph
from tests.helpers.random_graphs import classifiers
from tests.helpers.text_graphs import text_graph


def _network() -> ir.Model:
    return text_graph(
        "float[N, 3, 6, 6] x => float[N, 2] y",
        """
        c = Conv <pads = [1, 1, 1, 1]> (x, w, b)
        a = Clip (c, low, high)
        g = GlobalAveragePool (a)
        f = Flatten (g)
        h = MatMul (f, u)
        y = Gemm (h, v)
        """,
        w=(4, 3, 3, 3),
        b=(4,),
        low=np.array(-1, np.float32),
        high=np.array(1, np.float32),
        u=(4, 5),
        v=(5, 2),
    )


def _input(batch: int = 2) -> torch.Tensor:
    return torch.randn(batch, 3, 6, 6, generator=torch.Generator().manual_seed(0))


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(classifiers())
def test_random_graphs_equal_onnx_runtime_at_every_batch(graph: DrawnGraph) -> None:
    model = graph.model(np.float32)
    view, data = TorchView(model), ir.to_proto(model).SerializeToString()
    for batch in (1, 2, 3):
        inputs = graph.inputs(batch, np.float32)
        (expected,) = run_onnx(data, inputs).values()
        found = view(torch.from_numpy(inputs["x"]))[0].detach().numpy()
        assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


@settings(max_examples=10, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(classifiers())
def test_gradients_of_random_graphs_are_those_of_finite_differences(graph: DrawnGraph) -> None:
    view = TorchView(graph.model(np.float64), dtype=torch.float64)
    x = torch.from_numpy(graph.inputs(2, np.float64)["x"])
    parameter = next(view.parameters())
    view(x)[0].square().sum().backward()
    assert parameter.grad is not None
    direction = torch.ones_like(parameter)
    step = 1e-7
    with torch.no_grad():
        parameter.add_(step * direction)
        above = view(x)[0].square().sum()
        parameter.sub_(2 * step * direction)
        below = view(x)[0].square().sum()
    expected = ((above - below) / (2 * step)).item()
    assert (parameter.grad * direction).sum().item() == pytest.approx(expected, rel=1e-3, abs=1e-5)


def test_weights_are_trained_and_settings_are_not() -> None:
    view = TorchView(_network())
    trained = {id(parameter) for parameter in view.parameters()}
    assert {name for name in "wbuv" if id(view.tensor(name)) in trained} == set("wbuv")
    assert not {id(view.tensor("low")), id(view.tensor("high"))} & trained


def test_training_changes_what_is_written_back_and_nothing_else() -> None:
    model = _network()
    view = TorchView(model)
    optimiser = torch.optim.SGD(view.parameters(), lr=0.1)
    before = view(_input())[0]
    before.square().sum().backward()
    optimiser.step()
    written = view.write_back()
    (expected,) = run_onnx(
        ir.to_proto(written).SerializeToString(), {"x": _input().numpy()}
    ).values()
    after = view(_input())[0].detach().numpy()
    assert np.allclose(after, expected, rtol=1e-4, atol=1e-5)
    assert not np.allclose(after, before.detach().numpy())
    unchanged = TorchView(model)(_input())[0]
    torch.testing.assert_close(unchanged, before)


def test_a_float64_view_is_written_back_in_the_types_of_the_graph() -> None:
    written = TorchView(_network(), dtype=torch.float64).write_back()
    kinds = {v.const_value.dtype for v in written.graph.initializers.values() if v.const_value}
    assert kinds == {ir.DataType.FLOAT}


def test_only_what_is_fetched_is_evaluated() -> None:
    view = TorchView(_network())
    calls: list[str] = []

    def seen(name: str) -> Callable[[torch.Tensor], torch.Tensor]:
        def patch(value: torch.Tensor) -> torch.Tensor:
            calls.append(name)
            return value

        return patch

    patches = {name: seen(name) for name in ("c", "a", "g", "f", "h", "y")}
    view.run({"x": _input()}, fetch=["a"], patch=patches)
    assert calls == ["c", "a"]


def test_a_patch_changes_what_later_nodes_read() -> None:
    view = TorchView(_network())
    plain = view.run({"x": _input()}, fetch=["a", "y"])
    patched = view.run({"x": _input()}, fetch=["a", "y"], patch={"a": lambda a: a * 2})
    torch.testing.assert_close(patched["a"], plain["a"] * 2)
    assert not torch.allclose(patched["y"], plain["y"])


def test_known_values_are_started_from_without_the_inputs_before_them() -> None:
    view = TorchView(_network())
    whole = view.run({"x": _input()}, fetch=["h", "y"])
    later = view.run({}, fetch=["y"], start={"h": whole["h"]})
    torch.testing.assert_close(later["y"], whole["y"])


def test_a_missing_input_or_unknown_name_is_said() -> None:
    view = TorchView(_network())
    with pytest.raises(KeyError, match="'x' is needed"):
        view.run({}, fetch=["y"])
    with pytest.raises(KeyError, match="'nowhere' is no value"):
        view.run({"x": _input()}, fetch=["nowhere"])
    with pytest.raises(KeyError, match="nowhere"):
        view.run({"x": _input()}, fetch=["y"], patch={"nowhere": torch.relu})


def test_an_operator_outside_the_table_is_refused_by_name() -> None:
    model = text_graph("float[N, 3] x => float[N, 3] y", "y = Acosh (x)")
    with pytest.raises(GraphError) as caught:
        TorchView(model)
    assert caught.value.reason is GraphReason.GRAPH_OPERATOR_UNSUPPORTED
    assert caught.value.node == "y"


def test_a_further_output_that_is_used_is_refused() -> None:
    model = text_graph(
        "float[N, 1, 4] x => float[N, 1, 3] y, int64[N, 1, 3] places",
        "y, places = MaxPool <kernel_shape = [2]> (x)",
    )
    with pytest.raises(GraphError, match="A further output of MaxPool 'y' is used") as caught:
        TorchView(model)
    assert caught.value.reason is GraphReason.GRAPH_OPERATOR_UNSUPPORTED


def test_the_mask_of_a_dropout_is_all_ones() -> None:
    model = text_graph("float[N, 3] x => float[N, 3] y, bool[N, 3] mask", "y, mask = Dropout (x)")
    x = torch.randn(2, 3)
    y, mask = TorchView(model)(x)
    torch.testing.assert_close(y, x)
    assert bool(mask.all())


def test_constants_inside_the_graph_are_evaluated_too() -> None:
    model = text_graph(
        "float[N, 3] x => float[N, 3] y", "c = Constant <value_float = 2.0> ()\ny = Mul (x, c)"
    )
    x = torch.randn(2, 3)
    torch.testing.assert_close(TorchView(model)(x)[0], x * 2)
    LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
    torch.testing.assert_close(TorchView(model)(x)[0], x * 2)
