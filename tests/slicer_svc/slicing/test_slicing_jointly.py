"""Several classes of a model cut together."""

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir
import pytest
import torch

from onnxgraph.serialise import to_bytes
from onnxgraph.view import TorchView
from slicer_svc.slicing.augmentation import Augmentation
from slicer_svc.slicing.errors import SlicingError
from slicer_svc.slicing.fragments import SlicedClass, slice_classes, slice_jointly
from slicer_svc.slicing.losses import class_logit
from slicer_svc.slicing.planner import make_plan
from slicer_svc.slicing.progress import Progress
from slicer_svc.slicing.recipe import Adaptation, Criterion, Method, Recipe
from slicer_svc.slicing.samples import UNLABELLED, class_pool, class_weights
from tests.helpers.small_classifiers import RESIDUAL, images, model_of

NONE = Augmentation()
SAMPLES = images(8)
SOME = Recipe(beta=0.5, views=1, steps=2)


@pytest.fixture(scope="module")
def model() -> ir.Model:
    return model_of(RESIDUAL)


def jointly(model: ir.Model, classes: Sequence[int], recipe: Recipe = SOME) -> SlicedClass:
    plan = make_plan(model, SAMPLES, recipe, augment=NONE)
    (found,) = slice_jointly(model, SAMPLES, plan, classes, augment=NONE)
    return found


def test_one_class_alone_is_cut_as_ever(model: ir.Model) -> None:
    plan = make_plan(model, SAMPLES, SOME, augment=NONE)
    (apart,) = slice_classes(model, SAMPLES, plan, [2], augment=NONE)
    assert to_bytes(jointly(model, [2]).model) == to_bytes(apart.model)


def test_classes_share_one_graph_whatever_their_order(model: ir.Model) -> None:
    plan = make_plan(model, SAMPLES, SOME, augment=NONE)
    apart = slice_classes(model, SAMPLES, plan, [0, 2], augment=NONE)
    found = jointly(model, [2, 0])
    assert found.classes == (0, 2)
    assert to_bytes(found.model) == to_bytes(jointly(model, [0, 2]).model)
    assert to_bytes(found.model) not in {to_bytes(one.model) for one in apart}
    assert {group: len(units) for group, units in found.kept.items()} == plan.kept


def test_a_shared_graph_is_repaired_for_all_of_its_classes(model: ir.Model) -> None:
    plan = make_plan(model, SAMPLES, SOME, augment=NONE)
    (of_first,) = slice_classes(model, SAMPLES, plan, [0], augment=NONE)
    shared = jointly(model, [0, 1, 2])
    assert loss(model, shared, [1, 2]) < loss(model, of_first, [1, 2])


def loss(model: ir.Model, fragment: SlicedClass, classes: Sequence[int]) -> float:
    """Mean squared error of a fragment's scores on the samples of some classes."""
    chosen = np.flatnonzero(np.isin(SAMPLES.labels, classes))
    inputs = {"x": torch.from_numpy(SAMPLES.inputs["x"][chosen])}
    whole, cut = TorchView(model), TorchView(fragment.model)
    with torch.no_grad():
        before = whole.run(inputs, fetch=["scores"])["scores"]
        after = cut.run(inputs, fetch=["scores"])["scores"]
    return float((before - after).square().mean())


@pytest.mark.parametrize(
    "recipe",
    [
        *(Recipe(criterion=one, beta=0.5, views=1, steps=2) for one in Criterion),
        *(Recipe(adaptation=one, beta=0.5, views=1, steps=2) for one in Adaptation),
        *(Recipe(method=one, beta=0.5, views=1, steps=2) for one in Method),
    ],
    ids=lambda recipe: f"{recipe.method}-{recipe.criterion}-{recipe.adaptation}",
)
@pytest.mark.parametrize("classes", [(0, 2), (0, 1, 2)], ids=["some", "all"])
def test_every_way_of_slicing_cuts_classes_together(
    model: ir.Model, recipe: Recipe, classes: tuple[int, ...]
) -> None:
    found = jointly(model, classes, recipe)
    assert np.isfinite(found.feature_error)
    assert np.isfinite(found.score_error)


def test_progress_names_no_class_of_several(model: ir.Model) -> None:
    plan = make_plan(model, SAMPLES, SOME, augment=NONE)
    seen: list[Progress] = []
    list(slice_jointly(model, SAMPLES, plan, [1, 0], augment=NONE, report=seen.append))
    assert {one.class_label for one in seen} == {None}
    assert [one.done for one in seen] == list(range(1, seen[0].total + 1))


def test_what_cannot_be_cut_is_refused_before_the_first_step(model: ir.Model) -> None:
    plan = make_plan(model, SAMPLES, SOME, augment=NONE)
    for classes in ([], [1, 1], [0, 9]):
        with pytest.raises(SlicingError):
            slice_jointly(model, SAMPLES, plan, classes, augment=NONE)


def test_classes_together_weigh_what_one_does_and_each_the_same() -> None:
    labels = np.array([0, 0, 0, 0, 1, 2, 2, UNLABELLED], dtype=np.int64)
    weights = class_weights(labels, [0, 1], beside=0.25)
    assert weights[:4].sum() == pytest.approx(0.75 / 3)
    assert weights[4] == pytest.approx(0.75 / 3)
    assert weights[5:7].sum() == pytest.approx(0.75 / 3)
    assert weights[7] == pytest.approx(0.25)
    # A minibatch may miss one of them.
    np.testing.assert_allclose(class_weights(labels[4:5], [0, 1]), 1.0)


def test_samples_of_all_classes_are_in_the_pool() -> None:
    labels = np.repeat(np.arange(50, dtype=np.int64), 20)
    pool = class_pool(labels, [7, 9])
    counts = np.bincount(labels[pool], minlength=50)
    assert (counts[7], counts[9]) == (20, 20)
    assert counts.sum() == 40 + 80


def test_the_odds_of_several_classes_are_those_of_any_of_them() -> None:
    scores = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    expected = scores.softmax(dim=1)[:, [0, 3]].sum(dim=1)
    torch.testing.assert_close(class_logit(scores, (0, 3)).sigmoid(), expected)
    assert torch.isfinite(class_logit(scores, (0, 1, 2, 3))).all()
