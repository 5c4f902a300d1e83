"""Adaptation (Eq. 8): kept units learn to do without the dropped ones."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from onnxgraph.groups import Consumer, UnitGroup
from onnxgraph.linear import unit_rows
from slicer_svc.slicing.assembly import Assembly, Patch
from slicer_svc.slicing.class_data import ClassData
from slicer_svc.slicing.losses import adaptation_loss, class_logit, faithfulness
from slicer_svc.slicing.measures import flat
from slicer_svc.slicing.pooling import trainable
from slicer_svc.slicing.recipe import Recipe
from slicer_svc.slicing.repairs import Units, fit_repair
from slicer_svc.slicing.ridge import Moments


def first_repairs(
    assembly: Assembly, original: Assembly, group: UnitGroup, kept: Units, data: ClassData
) -> dict[str, NDArray[np.float64]]:
    """Where the l_i start: the linear maps that restore the dropped units best, in closed form.

    The paper leaves the start open; with it, zero steps already give a repaired network.

    Args:
        assembly: The network with the pooled layer.
        original: The whole model: what is to be restored.
        group: The units.
        kept: Those that stay, sorted.
        data: The samples.

    Returns:
        By consumer node, R as `(u, s)`.
    """
    taps = {consumer.node: assembly.tap(consumer) for consumer in group.consumers}
    moments = {consumer.node: Moments() for consumer in group.consumers}
    for batch in data.batches:
        with torch.no_grad():
            now = assembly.run(batch.inputs, list(taps.values()))
            then = original.run(batch.inputs, list(taps.values()))
        for consumer in group.consumers:
            tap = taps[consumer.node]
            regressors = unit_rows(consumer, now[tap])[:, torch.from_numpy(kept)]
            moments[consumer.node].add(regressors, unit_rows(consumer, then[tap]), batch.weights)
    return {node: fit_repair(found.gram, found.cross, kept) for node, found in moments.items()}


@dataclass(frozen=True, eq=False)
class Choice:
    """What adaptation starts from.

    Attributes:
        group: The units of the layer.
        kept: Those that stay, sorted `(s,)`.
        before: The network before the layer was pooled.
        repairs: By consumer node, the l_i at their start, R as `(u, s)`.
    """

    group: UnitGroup
    kept: Units
    before: Assembly
    repairs: Mapping[str, NDArray[np.float64]]


def adapt(
    assembly: Assembly, choice: Choice, data: ClassData, recipe: Recipe
) -> dict[str, NDArray[np.float64]]:
    """Trains the layer's kept units f, in place, and the repairs l_i.

    Two patched networks: in M^{l∘f} the repairs restore the dropped units from the kept ones; in
    M^{f̄} the kept units run beside the unselected ones of the layer before pooling. γ is taken
    relative to the size of the original's features, since the paper leaves it open.

    Args:
        assembly: The network with the pooled layer.
        choice: The units and the repairs' start.
        data: The samples.
        recipe: Steps, learning rate and γ.

    Returns:
        By consumer node, R as `(u, s)`.
    """
    group, kept = choice.group, choice.kept
    repairs = {
        node: nn.Parameter(torch.from_numpy(matrix.astype(np.float32)))
        for node, matrix in choice.repairs.items()
    }
    layer = assembly.producers(group)
    optimizer = torch.optim.Adam([*repairs.values(), *trainable(layer)], lr=recipe.learning_rate)
    gamma = recipe.gamma / data.energy
    for _ in range(recipe.steps):
        drawn = data.draw()
        patched = _restoring(group, kept, repairs)
        scores = assembly.run(drawn.inputs, [assembly.scores], repairs=patched)
        with torch.no_grad():
            unselected = choice.before.run(drawn.inputs, [group.value])[group.value]
        beside = {group.value: _beside(group, kept, unselected)}
        features = assembly.run(drawn.inputs, [assembly.feature], patch=beside)
        loss = adaptation_loss(
            class_logit(flat(scores[assembly.scores]), data.target),
            drawn.is_class,
            drawn.weights,
            faithfulness(flat(features[assembly.feature]), drawn.features),
            gamma,
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for parameter in layer:
        parameter.requires_grad_(False)
    return {node: repair.detach().double().numpy() for node, repair in repairs.items()}


def _restoring(
    group: UnitGroup, kept: Units, repairs: Mapping[str, Tensor]
) -> dict[str, tuple[Consumer, Tensor]]:
    """l∘f: R as `(u, u)` at every consumer, differentiable."""
    index = torch.from_numpy(kept)
    return {
        consumer.node: (
            consumer,
            torch.zeros(group.units, group.units).index_copy(1, index, repairs[consumer.node]),
        )
        for consumer in group.consumers
    }


def _beside(group: UnitGroup, kept: Units, unselected: Tensor) -> Patch:
    """f̄: the kept units as they are, the others as the unselected units give them."""
    index = torch.from_numpy(group.places[kept].reshape(-1))

    def patch(value: Tensor) -> Tensor:
        return unselected.index_copy(
            group.unit_axis, index, value.index_select(group.unit_axis, index)
        )

    return patch
