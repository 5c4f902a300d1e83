import onnx_ir as ir
import pytest
import torch
from torch.nn import functional

from onnxgraph.normalise import normalise
from onnxgraph.parity import run_onnx
from onnxgraph.serialise import to_bytes
from onnxgraph.view import TorchView
from slicer_svc.slicing.augmentation import Augmentation
from slicer_svc.slicing.fragments import SlicedClass, slice_classes
from slicer_svc.slicing.planner import make_plan
from slicer_svc.slicing.progress import Progress
from slicer_svc.slicing.recipe import Adaptation, Criterion, Method, Recipe
from tests.helpers.small_classifiers import CHAIN, RESIDUAL, images, model_of

NONE = Augmentation()
SAMPLES = images(16)


def trained(text: str) -> ir.Model:
    """A model that tells the three kinds of pictures apart."""
    view = TorchView(model_of(text))
    seen = images(40, seed=7)
    inputs = {"x": torch.from_numpy(seen.inputs["x"].copy())}
    labels = torch.from_numpy(seen.labels)
    optimizer = torch.optim.Adam(view.parameters(), lr=1e-2)
    for _ in range(200):
        loss = functional.cross_entropy(view.run(inputs, fetch=["scores"])["scores"], labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.2
    return normalise(view.write_back())


@pytest.fixture(scope="module", params=[CHAIN, RESIDUAL], ids=["chain", "residual"])
def model(request: pytest.FixtureRequest) -> ir.Model:
    return trained(request.param)


def sliced(model: ir.Model, recipe: Recipe, label: int = 0) -> SlicedClass:
    plan = make_plan(model, SAMPLES, recipe, augment=NONE)
    (fragment,) = slice_classes(model, SAMPLES, plan, [label], augment=NONE)
    return fragment


def test_the_repair_beats_dropping_and_the_refit_is_about_as_good(model: ir.Model) -> None:
    errors = {}
    for adaptation in (Adaptation.NONE, Adaptation.REPAIR, Adaptation.REFIT):
        recipe = Recipe(adaptation=adaptation, criterion=Criterion.ACTIVATION_NORM)
        errors[adaptation] = sliced(model, recipe).feature_error
    assert errors[Adaptation.REPAIR] < 0.5 * errors[Adaptation.NONE]
    # On samples that it has seen, and what rectifiers hide it leaves alone.
    assert errors[Adaptation.REFIT] <= 1.1 * errors[Adaptation.REPAIR]


def test_distillation_goes_on_from_the_refit_in_small_steps(model: ir.Model) -> None:
    before = sliced(model, Recipe(adaptation=Adaptation.REFIT)).feature_error
    recipe = Recipe(adaptation=Adaptation.DISTIL, learning_rate=1e-3, steps=20)
    assert 0.5 * before < sliced(model, recipe).feature_error < before
    still = Recipe(adaptation=Adaptation.DISTIL, steps=0)
    assert sliced(model, still).feature_error == pytest.approx(before, rel=1e-6)


def test_the_papers_adaptation_beats_dropping_for_the_same_units(model: ir.Model) -> None:
    dropped = sliced(model, Recipe(adaptation=Adaptation.NONE))
    found = sliced(model, Recipe(adaptation=Adaptation.TRAINED, steps=10))
    for group, units in dropped.kept.items():
        assert found.kept[group].tolist() == units.tolist()
    assert found.cost == dropped.cost
    assert found.feature_error < dropped.feature_error


@pytest.mark.parametrize("method", [Method.RATE, Method.THRESHOLD, Method.THRESHOLD_PLAIN])
def test_the_papers_path_keeps_the_class_apart_from_the_rest(
    model: ir.Model, method: Method
) -> None:
    fragment = sliced(model, Recipe(method=method, beta=0.6, steps=15), label=1)
    fresh = images(20, seed=3)
    scores = run_onnx(to_bytes(fragment.model), {"x": fresh.inputs["x"]})["scores"]
    right = (scores.argmax(axis=1) == 1) == (fresh.labels == 1)
    assert right.mean() > 0.9


@pytest.mark.parametrize("adaptation", Adaptation)
def test_progress_ends_where_it_said_it_would(model: ir.Model, adaptation: Adaptation) -> None:
    recipe = Recipe(adaptation=adaptation, criterion=Criterion.L1, steps=1)
    plan = make_plan(model, SAMPLES, recipe, augment=NONE)
    seen: list[Progress] = []
    for _ in slice_classes(model, SAMPLES, plan, [0, 2], augment=NONE, report=seen.append):
        pass
    assert [progress.done for progress in seen] == list(range(1, seen[0].total + 1))
