"""Units of real exports are followed from load to cut, whichever exporter wrote them."""

from typing import ClassVar, cast

import numpy as np
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
from onnxgraph.surgery import Cut, cut_all
from tests.helpers.torch_models import Classifier, build, export
from tests.helpers.unit_copies import copied_units


class _Gate(nn.Module):
    """Squeeze and excite."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.squeeze, self.excite = nn.Conv2d(width, 3, 1), nn.Conv2d(3, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        inner = torch.relu(self.squeeze(x.mean((2, 3), keepdim=True)))
        return x * torch.sigmoid(self.excite(inner))


class _Dense(nn.Module):
    """DenseNet's layer: normalised, activated, convolved and joined with what came in."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.grow = nn.BatchNorm2d(width), nn.Conv2d(width, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.grow(torch.relu(self.norm(x)))], dim=1)


class _Mixed(Classifier):
    """Residual, gated, dense, depthwise and channels-last parts behind each other."""

    shape: ClassVar[tuple[int, ...]] = (3, 8, 8)

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.SiLU())
        self.inner = nn.Sequential(nn.Conv2d(6, 5, 3, padding=1), nn.Hardswish())
        self.outer = nn.Conv2d(5, 6, 3, padding=1)
        self.gate = _Gate(6)
        self.dense = nn.Sequential(_Dense(6), _Dense(10))
        self.depthwise = nn.Conv2d(14, 14, 3, stride=2, groups=14, bias=False)
        self.pointwise = nn.Linear(14, 7)
        self.hidden, self.head = nn.Linear(63, 9), nn.Linear(9, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = self.gate(x + self.outer(self.inner(x)))
        x = self.depthwise(self.dense(x)).permute(0, 2, 3, 1)
        x = nn.functional.leaky_relu(self.pointwise(x)).flatten(1)
        return cast(Tensor, self.head(torch.tanh(self.hidden(x))))


@pytest.mark.parametrize("dynamo", [False, True], ids=["torchscript", "dynamo"])
def test_every_hidden_layer_of_an_export_is_cut_rightly(dynamo: bool) -> None:
    data = export(build(_Mixed), [_Mixed.shape], dynamo=dynamo, opset=18)
    model = normalise(load_model(data))
    fragment = as_fragment(model, find_classifier(model))
    groups, whole = unit_groups(fragment)
    found = [(len(g.producers), g.units, [c.block for c in g.consumers]) for g in groups]
    assert sorted(found) == sorted(
        [
            (3, 6, [1, 1, 1, 1, 1]),  # stem, outer and gate; read by all but the head's layers
            (1, 5, [1]),
            (1, 3, [1]),
            (1, 4, [1, 1]),  # the first dense layer's growth is read twice
            (1, 4, [1]),
            (1, 7, [9]),
            (1, 9, [1]),
        ]
    )
    assert [part.reason for part in whole] == ["its units are the graph's output 'scores'"]
    random = np.random.default_rng(0)
    cuts = [copied_units(fragment, group, random) for group in groups]
    smaller = from_trusted_bytes(to_bytes(cut_all(fragment, cuts)))
    x = {"x": random.normal(size=(3, *_Mixed.shape)).astype(np.float32)}
    expected = np.asarray(run_onnx(to_bytes(fragment), x)["scores"])
    scores = np.asarray(run_onnx(to_bytes(smaller), x)["scores"])
    assert np.abs(scores - expected).max() <= 1e-4 * np.abs(expected).max()
    still_cuttable = [group.id for group, chosen in cuts if chosen.kept.size > 1]
    assert [group.id for group in unit_groups(smaller)[0]] == still_cuttable


def test_half_of_every_width_is_about_a_quarter_of_the_parameters() -> None:
    data = export(build(_Mixed), [_Mixed.shape], dynamo=False, opset=17)
    model = normalise(load_model(data))
    cuts = [(g, Cut(np.arange(g.units // 2))) for g in unit_groups(model)[0] if g.units > 3]
    assert cost(cut_all(model, cuts)).parameters < 0.35 * cost(model).parameters
