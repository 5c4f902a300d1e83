"""Pooling (Eq. 3, 4): gathering what class c needs in few units of a layer."""

import numpy as np
import torch
from numpy.typing import NDArray

from slicer_svc.slicing.activations import mean_magnitude, unit_outputs
from slicer_svc.slicing.losses import faithfulness, pooling_loss, unit_norms
from slicer_svc.slicing.measures import flat
from slicer_svc.slicing.stage import Stage


def pool(stage: Stage) -> None:
    """Trains the layer m_i, in place, on class c's samples so that its other units fall silent.

    Minimises Eq. 4. As in the AAAI version only m_i's own parameters are trained. α is taken
    relative to both terms' sizes before training, since the paper leaves it open and activations
    have no unit.
    """
    assembly, group, recipe = stage.assembly, stage.group, stage.recipe
    alpha = recipe.alpha * stage.energy / _norms(stage)
    training = stage.layer.training(np.arange(group.units), recipe.learning_rate)
    for step in range(recipe.steps):
        batch, values = stage.own.run(step, [assembly.feature, group.value])
        distance = faithfulness(flat(values[assembly.feature]), batch.features, batch.weights)
        outputs = unit_outputs(group, values[group.value], len(batch.weights))
        training.step(pooling_loss(distance, outputs, alpha))
    training.end()


def class_activations(stage: Stage) -> NDArray[np.float64]:
    """|X_j| of Eq. 5 and 6: mean |activation| of every unit on class c, float64 `(u,)`."""
    group = stage.group
    total, samples = np.zeros(group.units), 0
    for number in range(len(stage.own.batches)):
        with torch.no_grad():
            batch, values = stage.own.run(number, [group.value])
            outputs = unit_outputs(group, values[group.value], len(batch.weights))
            magnitudes = mean_magnitude(outputs)
        total += magnitudes.sum(dim=0).cpu().numpy()
        samples += len(batch.weights)
    return total / samples


def _norms(stage: Stage) -> float:
    with torch.no_grad():
        batch, values = stage.own.run(0, [stage.group.value])
        value = values[stage.group.value]
        norms = unit_norms(unit_outputs(stage.group, value, len(batch.weights)))
    return max(float(norms), 1e-12)
