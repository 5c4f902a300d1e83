"""Pooling (Eq. 3, 4): gathering what class c needs in few units of a layer."""

import torch
from torch import nn

from onnxgraph.groups import UnitGroup
from slicer_svc.slicing.assembly import Assembly
from slicer_svc.slicing.class_data import ClassData
from slicer_svc.slicing.losses import pooling_loss, unit_norms
from slicer_svc.slicing.measures import flat, unit_outputs
from slicer_svc.slicing.recipe import Recipe


def pool(assembly: Assembly, group: UnitGroup, data: ClassData, recipe: Recipe) -> None:
    """Trains the layer m_i, in place, on class c's samples so that its other units fall silent.

    As in the AAAI version only m_i's own parameters are trained. α is taken relative to both
    terms' sizes before training, since the paper leaves it open and activations have no unit.

    Args:
        assembly: The network, the layers before m_i finished.
        group: The units of m_i.
        data: The samples.
        recipe: Steps, learning rate and α.
    """
    parameters = assembly.producers(group)
    alpha = recipe.alpha * data.energy / _norms(assembly, group, data)
    optimizer = torch.optim.Adam(trainable(parameters), lr=recipe.learning_rate)
    for _ in range(recipe.steps):
        drawn = data.draw_own()
        values = assembly.run(drawn.inputs, [assembly.feature, group.value])
        features = flat(values[assembly.feature])
        units = unit_outputs(values[group.value], group)
        loss = pooling_loss(features, drawn.features, units, alpha)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for parameter in parameters:
        parameter.requires_grad_(False)


def trainable(parameters: list[nn.Parameter]) -> list[nn.Parameter]:
    """The parameters, from now on with gradients."""
    for parameter in parameters:
        parameter.requires_grad_(True)
    return parameters


def _norms(assembly: Assembly, group: UnitGroup, data: ClassData) -> float:
    drawn = data.draw_own()
    with torch.no_grad():
        value = assembly.run(drawn.inputs, [group.value])[group.value]
    return max(float(unit_norms(unit_outputs(value, group))), 1e-12)
