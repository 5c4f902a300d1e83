"""Every convolutional architecture is sliced under a budget, and its fragments run."""

import numpy as np
import pytest
import torch

from onnxgraph.load import load_model
from onnxgraph.normalise import normalise
from onnxgraph.parity import compare, run_onnx
from onnxgraph.serialise import to_bytes
from onnxgraph.view import TorchView
from slicer_svc.slicing.augmentation import Augmentation
from slicer_svc.slicing.fragments import slice_classes
from slicer_svc.slicing.planner import make_plan
from slicer_svc.slicing.recipe import Recipe
from slicer_svc.slicing.samples import Samples
from tests.helpers.torch_models import Classifier, build, export
from tests.helpers.torch_zoo import ZOO, MobileNetV2, ResNeXt

_ONE_VIEW = Augmentation()


_QUICK = (ResNeXt, MobileNetV2)


@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=() if kind in _QUICK else pytest.mark.slow) for kind in ZOO],
)
def test_a_class_of_every_architecture_is_sliced_within_its_budget(kind: type[Classifier]) -> None:
    model = normalise(load_model(export(build(kind), [kind.shape], dynamo=False, opset=17)))
    images = np.random.default_rng(0).normal(size=(8, *kind.shape)).astype(np.float32)
    samples = Samples({"x": images}, np.arange(8, dtype=np.int64) % 4)
    recipe = Recipe(budget_macs=0.6, views=1)
    plan = make_plan(model, samples, recipe, augment=_ONE_VIEW)
    (fragment,) = slice_classes(model, samples, plan, [1], augment=_ONE_VIEW)
    assert fragment.cost.macs <= 0.6 * plan.macs_before
    assert fragment.cost.macs == plan.macs_after
    assert fragment.cost.parameters == plan.parameters_after
    found = run_onnx(to_bytes(fragment.model), {"x": images})
    assert found["features"].shape == (8, fragment.feature_width)
    with torch.no_grad():
        seen = TorchView(fragment.model)(torch.from_numpy(images))
    for name, values in zip(("features", "scores"), seen, strict=True):
        assert compare(found[name], values.numpy(), atol=1e-6, rtol=1e-4).passed
