import numpy as np
import pytest
import torch

from onnxgraph.groups import UnitGroup
from onnxgraph.view import TorchView
from slicer_svc.slicing.activations import mean_activations, unit_outputs
from slicer_svc.slicing.adaptation import adapt, features_beside, first_repairs, restored_scores
from slicer_svc.slicing.assembly import restoring
from slicer_svc.slicing.class_data import ClassCase
from slicer_svc.slicing.losses import class_cross_entropy, class_logit, unit_norms
from slicer_svc.slicing.network import Network
from slicer_svc.slicing.pooling import class_activations, pool
from slicer_svc.slicing.recipe import Method, Recipe
from slicer_svc.slicing.repairs import Units
from slicer_svc.slicing.stage import Stage, Stages
from slicer_svc.slicing.trained import adapt_given_units, fuse, slice_trained
from slicer_svc.slicing.walk import Minibatch
from tests.helpers.small_classifiers import CHAIN, RESIDUAL, images, model_of


def prepared(text: str, recipe: Recipe, per_class: int = 8) -> ClassCase:
    network = Network.of(model_of(text))
    return ClassCase(network, TorchView(network.model), images(per_class), (1,), recipe)


def norms(stage: Stage) -> float:
    batch, values = stage.own.run(0, [stage.group.value])
    outputs = unit_outputs(stage.group, values[stage.group.value], len(batch.weights))
    return float(unit_norms(outputs))


def cross_entropy(stage: Stage, kept: Units, repairs: dict[str, np.ndarray]) -> float:
    matrices = {node: torch.from_numpy(r.astype(np.float32)) for node, r in repairs.items()}
    batch, scores = restored_scores(stage, kept, matrices, 0)
    logits = class_logit(scores.detach(), stage.classes)
    return float(class_cross_entropy(logits, batch.is_class, batch.weights))


def test_pooling_trains_one_layer_and_quietens_its_units() -> None:
    case = prepared(CHAIN, Recipe(steps=30, alpha=1.0))
    stages = Stages(case)
    stage = stages.at(case.network.groups[1])
    before = {name: tensor.clone() for name, tensor in stages.assembly.view.named_parameters()}
    loud = norms(stage)
    pool(stage)
    assert norms(stage) < loud
    moved = {
        name
        for name, tensor in stages.assembly.view.named_parameters()
        if not torch.equal(tensor, before[name])
    }
    assert len(moved) == 2
    assert set(map(id, map(stages.assembly.view.tensor, ("w1", "b1")))) == {
        id(tensor) for name, tensor in stages.assembly.view.named_parameters() if name in moved
    }


def test_adaptation_lowers_the_cross_entropy_of_the_class_against_the_rest() -> None:
    case = prepared(CHAIN, Recipe(steps=30, gamma=0.1))
    stage = Stages(case).at(case.network.groups[1])
    kept = np.array([0, 3], dtype=np.int64)
    start = first_repairs(stage, kept)
    worse = cross_entropy(stage, kept, start)
    found = adapt(stage, kept, start)
    assert cross_entropy(stage, kept, found) < worse


@pytest.mark.parametrize(("text", "place"), [(CHAIN, 0), (RESIDUAL, 0)])
def test_adaptation_leaves_the_unselected_units_as_they_were_before_pooling(
    text: str, place: int
) -> None:
    case = prepared(text, Recipe(steps=5))
    stage = Stages(case).at(case.network.groups[place])
    before = stage.layer.snapshot()
    kept = np.array([1, 4], dtype=np.int64)
    dropped = [0, 2, 3, 5]
    pool(stage)
    pooled = stage.layer.snapshot()
    stage.layer.put_back(before, kept)
    adapt(stage, kept, first_repairs(stage, kept))
    for name, now in stage.layer.snapshot().items():
        assert not torch.equal(pooled[name][dropped], before[name][dropped])
        assert torch.equal(now[dropped], before[name][dropped])
        assert not torch.equal(now[kept], pooled[name][kept])


def test_kept_units_beside_the_unselected_ones_are_the_original_before_any_training() -> None:
    case = prepared(RESIDUAL, Recipe(steps=0))
    stage = Stages(case).at(case.network.groups[0])
    features = features_beside(stage, 0)
    torch.testing.assert_close(features, stage.mixed.batches[0].features)


@pytest.mark.parametrize("text", [CHAIN, RESIDUAL])
def test_the_fused_network_equals_the_combination_with_all_repairs_in_place(text: str) -> None:
    case = prepared(text, Recipe(steps=0))
    stages = Stages(case)
    random = np.random.default_rng(0)
    cuts = {}
    for group in case.network.groups:
        stage = stages.at(group)
        kept = np.sort(random.choice(group.units, 3, replace=False)).astype(np.int64)
        found = first_repairs(stage, kept)
        cuts[group.id] = kept, found
        matrices = {node: torch.from_numpy(r.astype(np.float32)) for node, r in found.items()}
        stages.assembly.combine(restoring(group, kept, matrices))
    inputs = {"x": torch.from_numpy(np.array(images(5, seed=1).inputs["x"]))}
    scores = stages.assembly.scores
    apart = stages.assembly.run(inputs, [scores], start={})[scores].detach()
    fused = TorchView(fuse(case.network, stages.assembly, cuts))
    together = fused.run(inputs, fetch=["scores"])["scores"].detach()
    assert (together - apart).abs().max() <= 1e-4 * apart.abs().max()


def test_by_rate_each_group_keeps_its_count_and_whole_groups_are_not_touched() -> None:
    case = prepared(CHAIN, Recipe(method=Method.RATE, steps=1))
    groups = case.network.groups
    counts = {groups[0].id: 6, groups[1].id: 4, groups[2].id: 2}
    result = slice_trained(case, counts, lambda _: None)
    assert {group: len(kept) for group, kept in result.kept.items()} == counts
    first = case.network.model.graph.initializers["w0"].const_value
    left = result.model.graph.initializers["w0"].const_value
    assert first is not None
    assert left is not None
    np.testing.assert_array_equal(left.numpy(), first.numpy())


@pytest.mark.parametrize("method", [Method.RATE, Method.THRESHOLD, Method.THRESHOLD_PLAIN])
@pytest.mark.parametrize("text", [CHAIN, RESIDUAL])
def test_every_method_of_the_paper_gives_the_same_network_twice(text: str, method: Method) -> None:
    recipe = Recipe(method=method, beta=0.5, steps=3)
    results = []
    for _ in range(2):
        case = prepared(text, recipe)
        counts = {group.id: group.units // 2 for group in case.network.groups}
        sliced = slice_trained(case, counts, lambda _: None)
        inputs = {"x": torch.from_numpy(np.array(images(2, seed=1).inputs["x"]))}
        results.append(TorchView(sliced.model).run(inputs, fetch=["scores"])["scores"])
    assert torch.isfinite(results[0]).all()
    assert torch.equal(results[0], results[1])


def test_adaptation_alone_keeps_the_units_that_it_is_given() -> None:
    case = prepared(RESIDUAL, Recipe(steps=2))
    kept = {group.id: np.array([1, 2, 5], dtype=np.int64) for group in case.network.groups}
    result = adapt_given_units(case, kept, lambda _: None)
    for group, units in kept.items():
        np.testing.assert_array_equal(result.kept[group], units)


def test_training_goes_on_where_nothing_fits_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = Recipe(method=Method.RATE, steps=3)
    counts = {group.id: 3 for group in prepared(CHAIN, recipe).network.groups}
    inputs = {"x": torch.from_numpy(np.array(images(2, seed=1).inputs["x"]))}
    results = []
    for limit in (1 << 29, 0):
        monkeypatch.setattr("slicer_svc.slicing.prefix.PREFIX_BYTES", limit)
        sliced = slice_trained(prepared(CHAIN, recipe, 60), counts, lambda _: None)
        results.append(TorchView(sliced.model).run(inputs, fetch=["scores"])["scores"])
    torch.testing.assert_close(results[0], results[1])


def test_minibatches_hold_all_of_the_class_and_weigh_it_twice_the_rest() -> None:
    case = prepared(CHAIN, Recipe(), per_class=60)
    assert sum(len(batch.weights) for batch in case.data.mixed) == 180
    assert sum(len(batch.weights) for batch in case.data.own) == 60
    for batch in case.data.mixed:
        inside = float(batch.weights[batch.is_class == 1].sum())
        assert inside == pytest.approx(2 / 3, abs=1e-5)
        assert float(batch.weights.sum()) == pytest.approx(1.0, abs=1e-5)


def by_hand(case: ClassCase, group: UnitGroup) -> np.ndarray:
    mine = case.views.inputs["x"][case.views.labels == case.classes[0]]
    inputs = {"x": torch.from_numpy(np.array(mine))}
    value = case.view.run(inputs, fetch=[group.value])[group.value]
    return value.detach().abs().mean(dim=(0, 2, 3)).numpy()


def test_activations_are_means_over_samples_and_positions() -> None:
    case = prepared(CHAIN, Recipe())
    group = case.network.groups[1]
    stage = Stages(case).at(group)
    np.testing.assert_allclose(class_activations(stage), by_hand(case, group), rtol=1e-5)


def test_samples_of_weight_zero_do_not_count_in_mean_activations() -> None:
    case = prepared(CHAIN, Recipe())
    group = case.network.groups[1]
    pictures = {"x": torch.from_numpy(np.array(case.views.inputs["x"]))}
    weights = torch.from_numpy((case.views.labels == case.classes[0]).astype(np.float64))
    found = mean_activations(
        lambda inputs, fetch: case.view.run(inputs, fetch=fetch),
        [group],
        [Minibatch(pictures, weights)],
    )
    np.testing.assert_allclose(found[group.id], by_hand(case, group), rtol=1e-5)
