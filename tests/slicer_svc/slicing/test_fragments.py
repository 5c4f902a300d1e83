from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from onnxgraph.groups import unit_groups
from onnxgraph.normalise import normalise
from onnxgraph.parity import run_onnx
from onnxgraph.serialise import to_bytes
from slicer_svc.slicing.augmentation import Augmentation
from slicer_svc.slicing.errors import SlicingError, SlicingReason
from slicer_svc.slicing.fragments import SlicedClass, slice_classes
from slicer_svc.slicing.measures import RelativeError
from slicer_svc.slicing.planner import make_plan
from slicer_svc.slicing.progress import Progress
from slicer_svc.slicing.recipe import THRESHOLDS, Method, Recipe
from slicer_svc.slicing.samples import Samples
from tests.helpers.random_graphs import DrawnGraph, classifiers
from tests.helpers.small_classifiers import CHAIN, RESIDUAL, images, model_of

NONE = Augmentation()
VIEWS = Augmentation(images=("x",), pad=1)


def fragments(
    model: ir.Model, samples: Samples, recipe: Recipe, classes: list[int], **kwargs: Any
) -> list[SlicedClass]:
    plan = make_plan(model, samples, recipe, augment=VIEWS)
    return list(slice_classes(model, samples, plan, classes, augment=VIEWS, **kwargs))


@pytest.mark.parametrize("method", list(Method))
@pytest.mark.parametrize("text", [CHAIN, RESIDUAL])
def test_a_fragment_is_a_graph_with_features_and_scores(method: Method, text: str) -> None:
    recipe = Recipe(method=method, steps=2)
    for fragment in fragments(model_of(text), images(4), recipe, [2, 0]):
        data = to_bytes(fragment.model)
        onnx.checker.check_model(data, full_check=True)
        for batch in (1, 5):
            outputs = run_onnx(data, {"x": images(2).inputs["x"][:batch]})
            assert outputs["features"].shape == (batch, fragment.feature_width)
            assert outputs["scores"].shape == (batch, 3)
            assert all(np.isfinite(array).all() for array in outputs.values())
        assert fragment.cost.parameters < 0.6 * 12_000
        assert fragment.feature_error >= 0


def test_the_default_keeps_what_its_class_needs() -> None:
    model, samples = model_of(CHAIN), images(10)
    whole = run_onnx(to_bytes(model), {"x": samples.inputs["x"]})["scores"]
    for fragment in fragments(model, samples, Recipe(), [0, 1, 2]):
        scores = run_onnx(to_bytes(fragment.model), {"x": samples.inputs["x"]})["scores"]
        mine = np.isin(samples.labels, fragment.classes)
        error = RelativeError()
        reference = torch.from_numpy(whole[mine])
        error.add(torch.from_numpy(scores[mine]), reference, torch.ones(int(mine.sum())))
        assert error.share < 0.05
        assert fragment.score_error < 0.05
        assert fragment.feature_error < 0.1


@pytest.mark.parametrize("method", list(Method))
def test_equal_arguments_give_equal_bytes(method: Method) -> None:
    recipe = Recipe(method=method, steps=2, seed=5)
    once, again = (fragments(model_of(CHAIN), images(3), recipe, [1]) for _ in range(2))
    assert to_bytes(once[0].model) == to_bytes(again[0].model)


def test_a_fragment_does_not_depend_on_the_other_classes_asked_for() -> None:
    alone = fragments(model_of(CHAIN), images(3), Recipe(), [2])[0]
    last = fragments(model_of(CHAIN), images(3), Recipe(), [0, 2])[-1]
    assert to_bytes(alone.model) == to_bytes(last.model)


def test_each_class_is_handed_over_before_the_next_is_begun() -> None:
    seen: list[Progress] = []
    model, samples = model_of(CHAIN), images(3)
    plan = make_plan(model, samples, Recipe(), augment=VIEWS)
    slices = slice_classes(model, samples, plan, [2, 0], augment=VIEWS, report=seen.append)
    assert not seen
    assert next(slices).classes == (2,)
    assert {progress.class_label for progress in seen} == {2}
    assert next(slices).classes == (0,)
    assert [progress.done for progress in seen] == list(range(1, 7))
    assert {progress.total for progress in seen} == {6}


def test_the_model_itself_is_not_changed() -> None:
    model = model_of(CHAIN)
    before = to_bytes(model)
    for method in Method:
        fragments(model, images(3), Recipe(method=method, steps=1), [0])
    assert to_bytes(model) == before


@pytest.mark.parametrize("method", list(Method))
@pytest.mark.parametrize("beta", [1e-6, 1.0])
def test_one_sample_a_class_is_enough_for_any_share(method: Method, beta: float) -> None:
    recipe = Recipe(method=method, beta=beta, steps=1)
    (fragment,) = fragments(model_of(RESIDUAL), images(1), recipe, [0])
    scores = run_onnx(to_bytes(fragment.model), {"x": images(2).inputs["x"]})["scores"]
    assert np.isfinite(scores).all()


@pytest.mark.parametrize(
    ("classes", "reason"),
    [
        ([], SlicingReason.FIELD_INVALID),
        ([0, 0], SlicingReason.FIELD_INVALID),
        ([3], SlicingReason.CLASS_UNKNOWN),
        ([-1], SlicingReason.CLASS_UNKNOWN),
        ([0, 1], SlicingReason.SAMPLES_CLASS_MISSING),
    ],
)
def test_a_wrong_list_of_classes_is_refused_before_anything_is_sliced(
    classes: list[int], reason: SlicingReason
) -> None:
    model, samples = model_of(CHAIN), images(3)
    samples = samples.take(np.flatnonzero(samples.labels != 1))
    plan = make_plan(model, samples, Recipe(), augment=VIEWS)
    with pytest.raises(SlicingError) as caught:
        slice_classes(model, samples, plan, classes, augment=VIEWS)
    assert caught.value.reason is reason
    assert caught.value.advice.endswith(".")


def test_a_plan_of_another_model_is_refused() -> None:
    samples = images(2)
    plan = make_plan(model_of(RESIDUAL), samples, Recipe(), augment=VIEWS)
    for wrong in (plan, replace(plan, groups=())):
        with pytest.raises(SlicingError) as caught:
            slice_classes(model_of(CHAIN), samples, wrong, [0], augment=VIEWS)
        assert caught.value.reason is SlicingReason.FIELD_INVALID


@settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)
@given(
    drawn=classifiers(),
    method=st.sampled_from(list(Method)),
    beta=st.sampled_from([0.1, 0.5, 0.8]),
    count=st.integers(1, 5),
)
def test_random_graphs_are_sliced_into_graphs_that_run(
    drawn: DrawnGraph, method: Method, beta: float, count: int
) -> None:
    model = normalise(drawn.model(np.float32))
    if not unit_groups(model)[0]:
        return
    inputs = drawn.inputs(count, np.float32)
    samples = Samples(inputs, np.arange(count, dtype=np.int64) % 3)
    plan = make_plan(model, samples, Recipe(method=method, beta=beta, steps=1), augment=NONE)
    (fragment,) = slice_classes(model, samples, plan, [0], augment=NONE)
    outputs = run_onnx(to_bytes(fragment.model), inputs)
    assert outputs["scores"].shape == (count, 3)
    assert all(np.isfinite(array).all() for array in outputs.values())
    if method not in THRESHOLDS:
        assert fragment.cost.parameters == plan.parameters_after
