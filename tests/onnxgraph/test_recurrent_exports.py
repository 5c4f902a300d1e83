"""Recurrent and text classifiers of both torch exporters, from load to cut."""

import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import onnx_ir as ir
import pytest
import torch
from torch import Tensor, nn

from onnxgraph.classifier import as_fragment, find_classifier
from onnxgraph.cost import cost
from onnxgraph.groups import unit_groups
from onnxgraph.load import load_model
from onnxgraph.normalise import normalise
from onnxgraph.parity import run_onnx
from onnxgraph.serialise import from_trusted_bytes, to_bytes
from onnxgraph.surgery import cut_all
from tests.helpers.unit_copies import copied_units

_TOKENS, _LENGTH, _EMBEDDED, _HIDDEN = 20, 6, 4, 5

ReadOut = Callable[[Tensor, Tensor, Tensor], Tensor]
"""States `(N, L, F)`, last states `(layers · directions, N, H)` and tokens to features."""


def _masked_mean(states: Tensor, last: Tensor, tokens: Tensor) -> Tensor:
    mask = (tokens != 0).unsqueeze(-1).float()
    return (states * mask).sum(1) / mask.sum(1).clamp(min=1.0)


def _masked_max(states: Tensor, last: Tensor, tokens: Tensor) -> Tensor:
    return states.masked_fill((tokens == 0).unsqueeze(-1), -1e9).amax(1)


READ_OUTS: dict[str, ReadOut] = {
    "last layer's state": lambda _states, last, _tokens: last[-1],
    "both directions' states": lambda _s, last, _t: torch.cat([last[-2], last[-1]], dim=1),
    "states joined by transpose": lambda _s, last, _t: last[-2:].transpose(0, 1).flatten(1),
    "last step": lambda states, _last, _tokens: states[:, -1],
    "mean": lambda states, _last, _tokens: states.mean(1),
    "maximum": lambda states, _last, _tokens: states.max(1).values,
    "masked mean": _masked_mean,
    "masked maximum": _masked_max,
}


class Recurrent(nn.Module):
    """Embedding, recurrent layers, a read-out and a dense classifier of three classes."""

    def __init__(
        self, kind: Callable[..., nn.RNNBase], layers: int, both: bool, read: ReadOut
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(_TOKENS, _EMBEDDED, padding_idx=0)
        self.body = kind(_EMBEDDED, _HIDDEN, layers, batch_first=True, bidirectional=both)
        self.head = nn.Linear(_HIDDEN * (2 if both else 1), 3)
        self.read = read

    def forward(self, tokens: Tensor) -> Tensor:
        states, last = self.body(self.embedding(tokens))
        last = last[0] if isinstance(last, tuple) else last
        return cast(Tensor, self.head(self.read(states, last, tokens)))


class TextCnn(nn.Module):
    """Kim's: an embedding, filters of several widths, their maxima over time."""

    def __init__(self, *, padded: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(_TOKENS, _EMBEDDED)
        self.filters = nn.ModuleList(
            nn.Conv1d(_EMBEDDED, 4, width, padding=width - 1 if padded else 0)
            for width in (3, 4, 5)
        )
        self.head = nn.Linear(12, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens).transpose(1, 2)
        maxima = [torch.relu(layer(x)).amax(2) for layer in self.filters]
        return cast(Tensor, self.head(torch.cat(maxima, dim=1)))


def _exported(module: nn.Module, *, dynamo: bool, opset: int) -> bytes:
    tokens = (torch.randint(0, _TOKENS, (2, _LENGTH)),)
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")  # Both exporters warn of their own internals.
        path = Path(folder) / "model.onnx"
        torch.onnx.export(
            module.eval(),
            tokens,
            str(path),
            dynamo=dynamo,
            opset_version=opset,
            input_names=["x"],
            output_names=["scores"],
            **(
                {
                    "dynamic_shapes": ({0: torch.export.Dim.DYNAMIC},),
                    "external_data": False,
                    "verbose": False,
                }
                if dynamo
                else {"dynamic_axes": {"x": {0: "batch"}, "scores": {0: "batch"}}}
            ),
        )
        return path.read_bytes()


def _scores(model: ir.Model, tokens: np.ndarray) -> np.ndarray:
    return np.asarray(run_onnx(to_bytes(model), {"x": tokens})["scores"])


def _cut_without_loss(data: bytes) -> tuple[list[int], list[str]]:
    """Cuts copies of units out of every group; the units and the reasons of what is whole."""
    model = normalise(load_model(data))
    fragment = as_fragment(model, find_classifier(model))
    groups, whole = unit_groups(fragment)
    random = np.random.default_rng(0)
    cuts = [copied_units(fragment, group, random) for group in groups]
    smaller = from_trusted_bytes(to_bytes(cut_all(fragment, cuts)))
    tokens = random.integers(0, _TOKENS, size=(4, _LENGTH))
    expected, found = _scores(fragment, tokens), _scores(smaller, tokens)
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()
    return [group.units for group in groups], [part.reason for part in whole]


CASES = [
    (nn.LSTM, 1, False, "last layer's state", False),
    (nn.LSTM, 2, True, "both directions' states", False),
    (nn.LSTM, 1, True, "states joined by transpose", False),
    (nn.LSTM, 1, False, "masked mean", False),
    (nn.GRU, 2, False, "last step", False),
    (nn.GRU, 1, True, "maximum", False),
    (nn.RNN, 2, True, "mean", False),
    (nn.LSTM, 2, True, "both directions' states", True),
    (nn.GRU, 1, False, "masked maximum", True),
]


@pytest.mark.parametrize(("kind", "layers", "both", "read", "dynamo"), CASES)
def test_hidden_units_of_an_export_are_cut_rightly(
    kind: Callable[..., nn.RNNBase], layers: int, both: bool, read: str, dynamo: bool
) -> None:
    torch.manual_seed(0)
    module = Recurrent(kind, layers, both, READ_OUTS[read])
    units, whole = _cut_without_loss(_exported(module, dynamo=dynamo, opset=20 if dynamo else 17))
    assert units == [_EMBEDDED, *[_HIDDEN] * (layers * (2 if both else 1))]
    assert whole == ["its units are the graph's output 'scores'"]


@pytest.mark.parametrize(("padded", "dynamo"), [(False, False), (True, True)])
def test_embedding_and_filters_of_a_text_network_are_cut_rightly(
    padded: bool, dynamo: bool
) -> None:
    torch.manual_seed(0)
    data = _exported(TextCnn(padded=padded), dynamo=dynamo, opset=18)
    units, whole = _cut_without_loss(data)
    assert units == [_EMBEDDED, 4, 4, 4]
    assert whole == ["its units are the graph's output 'scores'"]


def test_a_layer_that_dynamo_writes_step_by_step_has_its_weights_once() -> None:
    torch.manual_seed(0)
    module = Recurrent(nn.RNN, 2, True, READ_OUTS["both directions' states"])
    data = _exported(module, dynamo=True, opset=20)
    units, _ = _cut_without_loss(data)
    assert units == [_EMBEDDED, *[_HIDDEN] * 4]
    model = normalise(load_model(data))
    assert [node.op_type for node in model.graph].count("RNN") == 4
    assert cost(model).parameters == sum(weight.numel() for weight in module.parameters())
