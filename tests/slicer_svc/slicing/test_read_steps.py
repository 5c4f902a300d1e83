"""States that nobody reads have no part in what becomes of a recurrent layer."""

from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
import torch

from onnxgraph.normalise import normalise
from onnxgraph.view import TorchView
from slicer_svc.slicing.augmentation import Augmentation
from slicer_svc.slicing.fragments import slice_classes
from slicer_svc.slicing.network import Network
from slicer_svc.slicing.planner import make_plan
from slicer_svc.slicing.read_steps import read_steps
from slicer_svc.slicing.recipe import Recipe
from slicer_svc.slicing.samples import Samples
from slicer_svc.slicing.walk import minibatches
from tests.helpers.text_graphs import text_graph

HIDDEN, WIDTH, LENGTH, PADDING = 6, 4, 7, 0
TEXTS = np.array([[3, 5, 2, 0, 0, 0, 0], [7, 4, 0, 0, 0, 0, 0], [2, 8, 6, 9, 0, 0, 0]] * 4)
SAMPLES = Samples({"tokens": TEXTS}, np.tile(np.arange(3), 4))

_BODY = """
words = Gather (table, tokens)
steps = Transpose <perm = [1, 0, 2]> (words)
states = LSTM <hidden_size = 6, direction = "{direction}"> (steps, w, r, b)
joined = Squeeze (states, direction)
{read}
scores = Gemm <transB = 1> (features, head, shift)
"""
_MASKED = """
fill = Equal (tokens, padding)
real = Not (fill)
mask = Cast <to = 1> (real)
turned = Transpose <perm = [1, 0]> (mask)
column = Unsqueeze (turned, last)
kept = Mul (joined, column)
features = ReduceSum <keepdims = 0> (kept, first)
"""
_THIRD = "features = Gather <axis = 0> (joined, third)"


def classifier(read: str, direction: str = "forward", fill: float = 0.0) -> ir.Model:
    """An LSTM classifier; `fill` is what the padding's row of the table holds."""
    random = np.random.default_rng(3)

    def scaled(*shape: int) -> np.ndarray:
        return np.asarray(random.normal(size=shape), np.float32)

    table = scaled(10, WIDTH)
    table[PADDING] = fill
    used: dict[str, Any] = {
        _MASKED: {"padding": np.array(PADDING), "last": np.array([2]), "first": np.array([0])},
        _THIRD: {"third": np.array(2)},
    }[read]
    return normalise(
        text_graph(
            f"int64[batch, {LENGTH}] tokens => float[batch, 3] scores",
            _BODY.format(direction=direction, read=read),
            table=table,
            w=scaled(1, 4 * HIDDEN, WIDTH),
            r=scaled(1, 4 * HIDDEN, HIDDEN),
            b=scaled(1, 8 * HIDDEN),
            direction=np.array([1]),
            head=scaled(3, HIDDEN),
            shift=scaled(3),
            **used,
        )
    )


def steps_read(model: ir.Model) -> torch.Tensor:
    """Whether a step is read, `(samples, steps)`."""
    network = Network.of(model)
    (batch,) = minibatches(SAMPLES, np.ones(len(SAMPLES)))
    (tap,) = network.recurrences
    return read_steps(network, TorchView(network.model), batch, tap)[:, 0, :, 0].T


def test_masked_padding_is_not_read() -> None:
    assert np.array_equal(steps_read(classifier(_MASKED)).numpy(), TEXTS != PADDING)


@pytest.mark.parametrize(
    ("direction", "read"), [("forward", [1, 1, 1, 0, 0, 0, 0]), ("reverse", [0, 0, 1, 1, 1, 1, 1])]
)
def test_a_state_that_is_read_makes_all_steps_before_it_matter(
    direction: str, read: list[int]
) -> None:
    found = steps_read(classifier(_THIRD, direction))
    assert found[0].tolist() == read


def test_what_an_lstm_makes_of_padding_changes_no_fragment() -> None:
    recurrent = []
    for fill in (0.0, 3.0):
        model = classifier(_MASKED, fill=fill)
        plan = make_plan(model, SAMPLES, Recipe(beta=0.5), augment=Augmentation())
        (fragment,) = slice_classes(model, SAMPLES, plan, [1], augment=Augmentation())
        (node,) = [node for node in fragment.model.graph if node.op_type == "LSTM"]
        assert node.inputs[2] is not None
        assert node.inputs[2].const_value is not None
        recurrent.append(node.inputs[2].const_value.numpy())
    assert np.allclose(recurrent[0], recurrent[1], atol=1e-6)
