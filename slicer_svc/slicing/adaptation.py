"""Adaptation (Eq. 8): kept units learn to do without the dropped ones."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from onnxgraph.groups import Consumer, Recurrence
from onnxgraph.linear import unit_rows
from slicer_svc.slicing.assembly import restoring
from slicer_svc.slicing.class_data import ClassBatch
from slicer_svc.slicing.losses import (
    adaptation_loss,
    class_cross_entropy,
    class_logit,
    faithfulness,
)
from slicer_svc.slicing.measures import flat
from slicer_svc.slicing.repairs import Units, fit_repair
from slicer_svc.slicing.stage import Stage


def first_repairs(stage: Stage, kept: Units) -> dict[str, NDArray[np.float64]]:
    """Where the l_i start: the linear maps that restore the dropped units best, in closed form.

    The paper leaves the start open; with it, zero steps already give a repaired network.

    Args:
        stage: The layer, pooled; what is to be restored are the original's units.
        kept: The units that stay, sorted `(s,)`.

    Returns:
        By consumer node, and by the keys of recurrences, R as `(u, s)`.
    """
    consumers, recurrences = stage.group.consumers, stage.group.recurrences
    readers: list[Consumer | Recurrence] = [*consumers, *recurrences]
    keys = [*(consumer.node for consumer in consumers), *(found.key for found in recurrences)]
    taps = [stage.assembly.tap(consumer) for consumer in consumers]
    taps += [found.value for found in recurrences]
    grams = [np.zeros((len(kept), len(kept))) for _ in readers]
    crosses = [np.zeros((len(kept), stage.group.units)) for _ in readers]
    for number in range(len(stage.mixed.batches)):
        with torch.no_grad():
            batch, now = stage.mixed.run(number, taps)
            _, then = stage.whole.run(number, taps)
        for place, (reader, tap) in enumerate(zip(readers, taps, strict=True)):
            targets = unit_rows(reader, then[tap]).double()
            index = torch.from_numpy(kept).to(targets.device)
            rows = unit_rows(reader, now[tap]).index_select(1, index).double()
            per_row = batch.weights.double().repeat_interleave(len(rows) // len(batch.weights))
            weighted = (rows * per_row[:, None]).T
            grams[place] += (weighted @ rows).cpu().numpy()
            crosses[place] += (weighted @ targets).cpu().numpy()
    return {
        key: fit_repair(gram, cross, kept)
        for key, gram, cross in zip(keys, grams, crosses, strict=True)
    }


def adapt(
    stage: Stage, kept: Units, start: Mapping[str, NDArray[np.float64]]
) -> dict[str, NDArray[np.float64]]:
    """Trains the layer's kept units f, in place, and the repairs l_i.

    Minimises Eq. 8. Class c weighs twice the sum of the others in both of its terms. γ is taken
    relative to the size of the original's features, since the paper leaves it open.

    Args:
        stage: The layer; its kept units pooled, the others as they were before (f̄).
        kept: The units that stay, sorted `(s,)`.
        start: The l_i at their start, as `first_repairs` gives them.

    Returns:
        The same, trained.
    """
    recipe = stage.recipe
    device = stage.mixed.batches[0].weights.device
    repairs = {
        node: nn.Parameter(torch.from_numpy(matrix.astype(np.float32)).to(device))
        for node, matrix in start.items()
    }
    training = stage.layer.training(kept, recipe.learning_rate, list(repairs.values()))
    gamma = recipe.gamma / stage.energy
    for step in range(recipe.steps):
        batch, scores = restored_scores(stage, kept, repairs, step)
        logits = class_logit(scores, stage.classes)
        cross_entropy = class_cross_entropy(logits, batch.is_class, batch.weights)
        consistency = faithfulness(features_beside(stage, step), batch.features, batch.weights)
        training.step(adaptation_loss(cross_entropy, consistency, gamma))
    training.end()
    return {node: repair.detach().double().cpu().numpy() for node, repair in repairs.items()}


def restored_scores(
    stage: Stage, kept: Units, repairs: Mapping[str, Tensor], step: int
) -> tuple[ClassBatch, Tensor]:
    """h∘M^{l∘f}(x) of Eq. 8: every consumer reads the units as the kept ones restore them.

    Args:
        stage: The layer.
        kept: The units that stay, sorted `(s,)`.
        repairs: R as `(u, s)`, by the keys of `first_repairs`.
        step: Which minibatch.

    Returns:
        The minibatch, and the model's class scores, `(n, C)`.
    """
    patch = restoring(stage.group, kept, repairs)
    batch, values = stage.mixed.run(step, [stage.assembly.scores], patch)
    return batch, flat(values[stage.assembly.scores])


def features_beside(stage: Stage, step: int) -> Tensor:
    """M^{f̄}(x) of Eq. 8: the kept units run beside the unselected ones, without a repair.

    The layer itself holds both: `Layer.put_back` has given the unselected units the parameters
    that they had before pooling, and training leaves these alone.

    Args:
        stage: The layer.
        step: Which minibatch.

    Returns:
        The features, `(n, f)`.
    """
    _, values = stage.mixed.run(step, [stage.assembly.feature])
    return flat(values[stage.assembly.feature])
