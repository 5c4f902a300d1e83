import numpy as np
import pytest

from onnxgraph.errors import GraphError, GraphReason
from onnxgraph.parity import Runner, run_onnx
from tests.helpers.graph_texts import DENSE, parse


def test_a_graph_runs_by_names() -> None:
    model = parse(DENSE)
    x = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
    found = run_onnx(model.SerializeToString(), {"x": x})
    assert found["scores"].shape == (3, 3)
    runner = Runner(model.SerializeToString())
    assert (runner.inputs, runner.outputs) == (("x",), ("scores",))
    np.testing.assert_array_equal(runner.run({"x": x})["scores"], found["scores"])


@pytest.mark.parametrize(
    "inputs",
    [
        {},
        {"y": np.ones((1, 4), np.float32)},
        {"x": np.ones((1, 5), np.float32)},
        {"x": np.ones((1, 4), np.float64)},
    ],
    ids=["none", "name", "shape", "type"],
)
def test_inputs_that_do_not_fit_are_a_typed_error(inputs: dict[str, np.ndarray]) -> None:
    with pytest.raises(GraphError) as caught:
        run_onnx(parse(DENSE).SerializeToString(), inputs)
    assert caught.value.reason == GraphReason.GRAPH_NOT_EXECUTABLE


def test_a_graph_that_cannot_be_loaded_is_a_typed_error(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(GraphError) as caught:
        run_onnx(b"no graph", {})
    assert caught.value.reason == GraphReason.GRAPH_NOT_EXECUTABLE
    assert capfd.readouterr() == ("", "")
