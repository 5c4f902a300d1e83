"""Heads and neurons of exported transformers, in the spellings of both exporters."""

import numpy as np
import onnx_ir as ir
import pytest
import torch
from torch import Tensor

from onnxgraph.classifier import as_fragment, find_classifier
from onnxgraph.cost import cost
from onnxgraph.groups import unit_groups
from onnxgraph.load import load_model
from onnxgraph.normalise import normalise
from onnxgraph.parity import run_onnx
from onnxgraph.serialise import from_trusted_bytes, to_bytes
from onnxgraph.surgery import Cut, cut_all
from tests.helpers.torch_models import Classifier, export_with
from tests.helpers.torch_transformers import (
    Bert,
    Mixer,
    NormedTransformer,
    SharedTransformer,
    TorchTransformer,
    VisionTransformer,
    WindowTransformer,
)
from tests.helpers.unit_copies import copied_units

_HEADS = {(3, 4), (10, 1)}
"""Three heads of four places, ten neurons: `(units, places at the first consumer)`."""

pytestmark = pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
"""torch's own attention looks at the shapes of what it is traced with."""

FOUND: dict[type[Classifier], set[tuple[int, int]]] = {
    VisionTransformer: _HEADS,
    NormedTransformer: _HEADS,
    SharedTransformer: {(2, 6), (10, 1)},
    TorchTransformer: _HEADS,
    WindowTransformer: _HEADS,
    Bert: {*_HEADS, (12, 1)},
    Mixer: {(6, 1), (10, 1)},
}


def _example(kind: type[Classifier], batch: int) -> Tensor:
    torch.manual_seed(batch)
    if kind is Bert:
        return torch.randint(0, 20, (batch, *kind.shape))
    return torch.randn(batch, *kind.shape)


def _fragment(kind: type[Classifier], dynamo: bool, opset: int) -> ir.Model:
    torch.manual_seed(0)
    data = export_with(kind().eval(), (_example(kind, 2),), dynamo=dynamo, opset=opset)
    model = normalise(load_model(data))
    return as_fragment(model, find_classifier(model))


_EXPORTS = [
    *((kind, False, 17) for kind in FOUND),
    *((kind, True, 20) for kind in FOUND),
    (VisionTransformer, True, 23),  # An Attention operator.
    (SharedTransformer, True, 23),
    (NormedTransformer, False, 13),  # LayerNormalization and Gelu taken apart.
]


@pytest.mark.parametrize(("kind", "dynamo", "opset"), _EXPORTS)
def test_heads_and_neurons_are_cut_rightly(
    kind: type[Classifier], dynamo: bool, opset: int
) -> None:
    fragment = _fragment(kind, dynamo, opset).clone()
    groups, _ = unit_groups(fragment)
    assert {(group.units, group.consumers[0].block) for group in groups} == FOUND[kind]
    random = np.random.default_rng(1)
    cuts = [copied_units(fragment, group, random) for group in groups]
    smaller = from_trusted_bytes(to_bytes(cut_all(fragment, cuts)))
    x = {"x": _example(kind, 3).numpy()}
    expected = np.asarray(run_onnx(to_bytes(fragment), x)["scores"])
    scores = np.asarray(run_onnx(to_bytes(smaller), x)["scores"])
    assert np.abs(scores - expected).max() <= 1e-4 * np.abs(expected).max()


def test_the_width_of_a_normalised_stream_is_whole_and_says_why() -> None:
    _, whole = unit_groups(_fragment(Mixer, False, 17))
    reasons = {part.reason for part in whole}
    assert "LayerNormalization '/norms.0/LayerNormalization' normalises over units" in reasons


def test_a_third_of_the_heads_is_a_third_of_their_cost() -> None:
    fragment = _fragment(TorchTransformer, False, 17)
    heads = next(group for group in unit_groups(fragment)[0] if group.units == 3)
    smaller = cut_all(fragment, [(heads, Cut(np.array([1])))])
    mine = {*heads.producers, *heads.passes, *(consumer.node for consumer in heads.consumers)}
    before, after = cost(fragment).by_node, cost(smaller).by_node
    macs = [sum(share.macs for n, share in costs.items() if n in mine) for costs in (before, after)]
    assert macs[0] == 3 * macs[1]
