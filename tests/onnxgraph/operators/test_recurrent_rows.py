"""LSTM, GRU and RNN mean what ONNX Runtime says: every output, direction, opset and setting."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper

from onnxgraph.cost import cost
from onnxgraph.operators import TABLE, Call
from onnxgraph.parity import run_onnx
from tests.helpers.text_graphs import text_graph

_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
_STEPS, _BATCH, _WIDTH, _HIDDEN = 5, 2, 3, 4


@dataclass(frozen=True)
class Layer:
    """A recurrent node: its operator, which inputs it has besides x, W and R, its attributes."""

    op_type: str
    given: tuple[str, ...] = ()
    direction: str = "forward"
    opset: int = 17
    attributes: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return "-".join([self.op_type, self.direction, str(self.opset), *self.given])

    def inputs(self) -> dict[str, NDArray[np.float32]]:
        """Random inputs by name, `{}` for those that are not given."""
        random = np.random.default_rng(0)
        directions = 2 if self.direction == "bidirectional" else 1
        rows = _GATES[self.op_type] * _HIDDEN
        shapes = {
            "x": (_STEPS, _BATCH, _WIDTH),
            "w": (directions, rows, _WIDTH),
            "r": (directions, rows, _HIDDEN),
            "b": (directions, 2 * rows),
            "h0": (directions, _BATCH, _HIDDEN),
            "c0": (directions, _BATCH, _HIDDEN),
            "p": (directions, 3 * _HIDDEN),
        }
        wanted = ("x", "w", "r", *self.given)
        return {n: random.normal(size=shapes[n]).astype(np.float32) for n in wanted}

    def model(self) -> onnx.ModelProto:
        """A graph of the node alone, all of its outputs used."""
        given = self.inputs()
        names = ["x", "w", "r", "b", "lengths", "h0", *(["c0", "p"] if self.is_lstm else [])]
        outputs = ["y", "h", *(["c"] if self.is_lstm else [])]
        node = helper.make_node(
            self.op_type,
            [name if name in given else "" for name in names],
            outputs,
            "node",
            hidden_size=_HIDDEN,
            direction=self.direction,
            **self.attributes,
        )
        value = helper.make_tensor_value_info
        graph = helper.make_graph(
            [node],
            "one",
            [value(name, TensorProto.FLOAT, array.shape) for name, array in given.items()],
            [value(name, TensorProto.FLOAT, None) for name in outputs],
        )
        opsets = [helper.make_opsetid("", self.opset)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)

    @property
    def is_lstm(self) -> bool:
        """Whether there is a cell beside the hidden state."""
        return self.op_type == "LSTM"


_DIRECTIONS = ("forward", "reverse", "bidirectional")
_LAYERS = [
    *(Layer("LSTM", (), way, 14) for way in _DIRECTIONS),
    *(Layer("LSTM", ("b", "h0", "c0"), way, 17) for way in _DIRECTIONS),
    *(Layer("LSTM", ("b", "p"), way, 22) for way in _DIRECTIONS),
    *(Layer("GRU", ("b",), way, 14) for way in _DIRECTIONS),
    *(
        Layer("GRU", ("b", "h0"), way, opset, {"linear_before_reset": 1})
        for way, opset in zip(_DIRECTIONS, (17, 20, 22), strict=True)
    ),
    *(Layer("RNN", ("b", "h0"), way, 17) for way in _DIRECTIONS),
    Layer("RNN", (), "forward", 22, {"activations": ["Relu"]}),
    Layer("RNN", ("b",), "bidirectional", 14, {"activations": ["Relu", "Relu"]}),
    Layer("LSTM", ("b",), "forward", 20, {"activations": ["Sigmoid", "Tanh", "Tanh"]}),
]


def _evaluate(layer: Layer) -> list[NDArray[Any]]:
    proto = layer.model()
    node = ir.serde.deserialize_model(proto).graph.node(0)
    given = layer.inputs()
    operands = [torch.from_numpy(given[n]) if n else None for n in proto.graph.node[0].input]
    result = TABLE[layer.op_type].evaluate(Call.of(node, layer.opset), *operands)
    assert isinstance(result, tuple)
    return [output.numpy() for output in result]


@pytest.mark.parametrize("layer", _LAYERS, ids=str)
def test_every_output_equals_onnx_runtime(layer: Layer) -> None:
    expected = run_onnx(layer.model().SerializeToString(), layer.inputs())
    for found, wanted in zip(_evaluate(layer), expected.values(), strict=True):
        assert found.shape == wanted.shape
        assert np.abs(found - wanted).max() <= 1e-5


@pytest.mark.parametrize(
    ("attributes", "named"),
    [
        ({"clip": 3.0}, "clips"),
        ({"layout": 1}, "layout 1"),
        ({"activations": ["Relu", "Tanh", "Tanh"]}, "activations Relu, Tanh, Tanh"),
        ({"input_forget": 1}, "input and forget"),
    ],
)
def test_a_setting_that_is_not_supported_is_named(attributes: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=f"LSTM 'node' .*{named}"):
        _evaluate(Layer("LSTM", attributes=attributes))


@pytest.mark.parametrize(("op_type", "gates"), _GATES.items())
def test_macs_are_steps_times_gates_times_width_of_both_matrices(op_type: str, gates: int) -> None:
    model = text_graph(
        "float[7, N, 3] x => float[7, 1, N, 4] y",
        f"y = {op_type} <hidden_size = 4> (x, w, r)",
        w=(1, gates * 4, 3),
        r=(1, gates * 4, 4),
    )
    assert cost(model).macs == 7 * gates * 4 * (3 + 4)


def test_gradients_reach_the_recurrent_matrix() -> None:
    layer = Layer("GRU", ("b",), attributes={"linear_before_reset": 1})
    given = {n: torch.from_numpy(array).requires_grad_() for n, array in layer.inputs().items()}
    node = ir.serde.deserialize_model(layer.model()).graph.node(0)
    result = TABLE["GRU"].evaluate(Call.of(node, 17), *given.values())
    result[0].square().sum().backward()
    assert all(tensor.grad is not None and tensor.grad.abs().sum() > 0 for tensor in given.values())
