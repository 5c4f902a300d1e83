"""Every convolutional architecture of the literature: which units are found, and exact cuts."""

from collections.abc import Sequence
from functools import cache

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onnxgraph.classifier import as_fragment, find_classifier
from onnxgraph.groups import UnitGroup, unit_groups
from onnxgraph.load import load_model
from onnxgraph.normalise import normalise
from onnxgraph.parity import compare, run_onnx
from onnxgraph.serialise import to_bytes
from onnxgraph.surgery import Cut, Repair, cut, cut_all, cut_unfused
from tests.helpers import torch_zoo as zoo
from tests.helpers.torch_models import Classifier, build, export
from tests.helpers.unit_copies import copied_units

_FOUND: dict[type[Classifier], list[tuple[int, int]]] = {
    zoo.Vgg: [(1, 6), (1, 8), (1, 10)],
    zoo.BasicResNet: [(2, 6), (1, 6), (1, 8), (3, 8), (1, 8)],
    zoo.BottleneckResNet: [(1, 6), (1, 4), (1, 4), (2, 8), (1, 5), (1, 5), (2, 10)],
    zoo.ResNeXt: [(1, 6), (2, 4), (2, 8), (2, 3), (2, 10)],
    zoo.RegNet: [(1, 6), (3, 4), (1, 4), (2, 8), (3, 3), (1, 4), (2, 10)],
    zoo.DenseNet: [(1, 6), (1, 6), (1, 4), (1, 6), (1, 4), (1, 7), (1, 6), (1, 4)],
    zoo.MobileNetV2: [(2, 6), (1, 9), (1, 10), (1, 8)],
    zoo.MobileNetV3: [(2, 6), (2, 9), (1, 4), (2, 10), (1, 4), (1, 8)],
    zoo.EfficientNet: [(2, 6), (2, 9), (1, 4), (2, 10), (1, 4), (1, 8)],
    zoo.ShuffleNet: [
        *[(1, 2), (1, 3), (1, 6), (1, 6), (1, 2), (1, 3)],
        *[(1, 6), (1, 3), (1, 3), (1, 6), (1, 6)],
    ],
    zoo.ConvNeXt: [(1, 12), (1, 12)],
    zoo.SqueezeNet: [(1, 6), (1, 4), (1, 5), (1, 6), (1, 4), (1, 5), (1, 6)],
}
"""Producers and units of every group, in topological order."""

_WHOLE: dict[type[Classifier], list[str]] = {
    zoo.ShuffleNet: ["has a single unit", "has a single unit"],
    zoo.ConvNeXt: ["over units"],
}
"""How the reasons end why other parts stay whole, the class scores apart."""


_KINDS = {kind.__name__: kind for kind in zoo.ZOO}


def _fragment(kind: type[Classifier], dynamo: bool) -> ir.Model:
    return _exported(kind.__name__, dynamo)


@cache
def _exported(name: str, dynamo: bool) -> ir.Model:
    """The whole fragment of an export; it is not to be changed."""
    kind = _KINDS[name]
    data = export(build(kind), [kind.shape], dynamo=dynamo, opset=18 if dynamo else 13)
    model = normalise(load_model(data))
    return as_fragment(model, find_classifier(model))


def _check_groups(kind: type[Classifier], dynamo: bool) -> None:
    groups, whole = unit_groups(_fragment(kind, dynamo))
    assert [(len(group.producers), group.units) for group in groups] == _FOUND[kind]
    reasons = [part.reason for part in whole if "'scores'" not in part.reason]
    ends = _WHOLE.get(kind, [])
    assert len(reasons) == len(ends)
    assert all(reason.endswith(end) for reason, end in zip(reasons, ends, strict=True))


@pytest.mark.parametrize("kind", zoo.ZOO)
def test_the_units_of_a_torchscript_export_are_found(kind: type[Classifier]) -> None:
    _check_groups(kind, dynamo=False)


@pytest.mark.parametrize("kind", [zoo.RegNet, zoo.ShuffleNet])
def test_the_units_of_a_dynamo_export_are_found(kind: type[Classifier]) -> None:
    _check_groups(kind, dynamo=True)


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(set(zoo.ZOO) - {zoo.RegNet, zoo.ShuffleNet}, key=str))
def test_both_exporters_give_the_same_units(kind: type[Classifier]) -> None:
    _check_groups(kind, dynamo=True)


def _random_cut(group: UnitGroup, random: np.random.Generator) -> Cut:
    size = int(random.integers(1, group.units + 1))
    kept = np.sort(random.choice(group.units, size, replace=False))
    repairs = {
        consumer.node: Repair(random.normal(size=(group.units, size)) / np.sqrt(size))
        for consumer in group.consumers
        if random.random() < 0.8
    }
    return Cut(kept, repairs)


def _assert_equal(left: ir.Model, right: ir.Model, sample: Sequence[int], seed: int) -> None:
    data = np.random.default_rng(seed).normal(size=(2, *sample)).astype(np.float32)
    wanted = run_onnx(to_bytes(right), {"x": data})
    for name, found in run_onnx(to_bytes(left), {"x": data}).items():
        assert compare(found, wanted[name], atol=1e-6, rtol=1e-4).passed


@pytest.mark.parametrize("kind", zoo.ZOO)
@settings(max_examples=2, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32 - 1))
def test_fused_repairs_equal_repairs_apart(kind: type[Classifier], seed: int) -> None:
    random = np.random.default_rng(seed)
    fused = apart = _fragment(kind, dynamo=False)
    for group in random.permutation(np.array(unit_groups(fused)[0], dtype=object)):
        if random.random() < 0.5:
            chosen = _random_cut(group, random)
            fused, apart = cut(fused, group, chosen), cut_unfused(apart, group, chosen)
    _assert_equal(fused, apart, kind.shape, seed)


@pytest.mark.parametrize("kind", zoo.ZOO)
@settings(max_examples=2, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32 - 1))
def test_copies_of_kept_units_are_not_missed(kind: type[Classifier], seed: int) -> None:
    random = np.random.default_rng(seed)
    whole = _fragment(kind, dynamo=False).clone()
    cuts = [copied_units(whole, group, random) for group in unit_groups(whole)[0]]
    before, after = whole.clone(), cut_all(whole, cuts)
    for model in (before, after):  # The features themselves become fewer: only scores compare.
        del model.graph.outputs[0]
    _assert_equal(after, before, kind.shape, seed)
