import numpy as np
import pytest
import torch

from onnxgraph.groups import UnitGroup
from onnxgraph.view import TorchView
from slicer_svc.slicing.activations import mean_activations
from slicer_svc.slicing.adaptation import Choice, adapt, first_repairs
from slicer_svc.slicing.assembly import Assembly
from slicer_svc.slicing.class_data import ClassData
from slicer_svc.slicing.losses import class_logit, unit_norms
from slicer_svc.slicing.measures import unit_outputs
from slicer_svc.slicing.network import Network
from slicer_svc.slicing.pooling import pool
from slicer_svc.slicing.recipe import Method, Recipe
from slicer_svc.slicing.trained import slice_trained
from tests.helpers.small_classifiers import CHAIN, RESIDUAL, images, model_of


def prepared(text: str) -> tuple[Network, ClassData]:
    network = Network.of(model_of(text))
    return network, ClassData(network, TorchView(network.model), images(8), 1, 0)


def norms(assembly: Assembly, group: UnitGroup, data: ClassData) -> float:
    drawn = data.draw_own()
    value = assembly.run(drawn.inputs, [group.value])[group.value]
    return float(unit_norms(unit_outputs(value.detach(), group)))


def cross_entropy(
    assembly: Assembly, data: ClassData, repairs: dict[str, np.ndarray], choice: Choice
) -> float:
    trial = assembly.frozen()
    trial.finish(choice.group, choice.kept, repairs)
    drawn = data.draw()
    scores = trial.run(drawn.inputs, [trial.scores])[trial.scores].detach()
    logits = class_logit(scores, data.target)
    return float(
        torch.nn.functional.binary_cross_entropy_with_logits(
            logits, drawn.is_class, weight=drawn.weights, reduction="sum"
        )
    )


def test_pooling_trains_one_layer_and_quietens_its_units() -> None:
    network, data = prepared(CHAIN)
    assembly, group = Assembly(network), network.groups[1]
    before = {name: tensor.clone() for name, tensor in assembly.view.named_parameters()}
    loud = norms(assembly, group, data)
    pool(assembly, group, data, Recipe(steps=30, alpha=1.0))
    assert norms(assembly, group, data) < loud
    moved = [
        tensor
        for name, tensor in assembly.view.named_parameters()
        if not torch.equal(tensor, before[name])
    ]
    assert {id(tensor) for tensor in moved} == {id(t) for t in assembly.producers(group)}


def test_adaptation_lowers_the_cross_entropy_of_the_class_against_the_rest() -> None:
    network, data = prepared(CHAIN)
    assembly = Assembly(network)
    original = assembly.frozen()
    group = network.groups[1]
    kept = np.array([0, 3], dtype=np.int64)
    start = first_repairs(assembly, original, group, kept, data)
    choice = Choice(group, kept, original, start)
    worse = cross_entropy(assembly, data, start, choice)
    found = adapt(assembly, choice, data, Recipe(steps=30, gamma=0.1))
    assert cross_entropy(assembly, data, found, choice) < worse


def test_adaptation_leaves_the_unselected_units_alone() -> None:
    network, data = prepared(CHAIN)
    assembly = Assembly(network)
    group = network.groups[0]
    weights = [parameter.clone() for parameter in assembly.producers(group)]
    kept = np.array([1, 4], dtype=np.int64)
    original = assembly.frozen()
    choice = Choice(group, kept, original, first_repairs(assembly, original, group, kept, data))
    adapt(assembly, choice, data, Recipe(steps=5))
    dropped = [0, 2, 3, 5]
    for now, then in zip(assembly.producers(group), weights, strict=True):
        assert torch.equal(now[dropped], then[dropped])
        assert not torch.equal(now[kept], then[kept])


@pytest.mark.parametrize("text", [CHAIN, RESIDUAL])
def test_the_fused_network_equals_the_combination_with_all_repairs_in_place(text: str) -> None:
    network, data = prepared(text)
    assembly = Assembly(network)
    original = assembly.frozen()
    random = np.random.default_rng(0)
    for group in network.groups:
        kept = np.sort(random.choice(group.units, 3, replace=False)).astype(np.int64)
        found = first_repairs(assembly, original, group, kept, data)
        assembly.finish(group, kept, found)
    inputs = {"x": torch.from_numpy(np.array(images(5, seed=1).inputs["x"]))}
    apart = assembly.run(inputs, [assembly.scores])[assembly.scores].detach()
    fused = TorchView(assembly.fused()).run(inputs, fetch=["scores"])["scores"].detach()
    assert (fused - apart).abs().max() <= 1e-4 * apart.abs().max()


def test_by_rate_each_group_keeps_its_count_and_whole_groups_are_not_touched() -> None:
    network, data = prepared(CHAIN)
    counts = {network.groups[0].id: 6, network.groups[1].id: 4, network.groups[2].id: 2}
    recipe = Recipe(method=Method.RATE, steps=1)
    result = slice_trained(network, data, counts, recipe, lambda _: None)
    assert {group: len(kept) for group, kept in result.kept.items()} == counts
    first = network.model.graph.initializers["w0"].const_value
    left = result.model.graph.initializers["w0"].const_value
    assert first is not None
    assert left is not None
    np.testing.assert_array_equal(left.numpy(), first.numpy())


def test_mean_activations_weigh_samples_and_average_positions() -> None:
    network, _ = prepared(CHAIN)
    group = network.groups[1]
    view = TorchView(network.model)
    samples = images(4)
    data = ClassData(network, view, samples, 2, 0)

    found = mean_activations(
        lambda inputs, fetch: view.run(inputs, fetch=fetch), [group], data.own
    )[group.id]
    mine = samples.inputs["x"][samples.labels == 2]
    value = view.run({"x": torch.from_numpy(np.array(mine))}, fetch=[group.value])[group.value]
    expected = value.detach().abs().mean(dim=(0, 2, 3)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5)
