"""The paper's own path: pooling, selection, adaptation, combination (ALGORITHM.md, section 2)."""

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir
import torch
from numpy.typing import NDArray

from onnxgraph.groups import UnitGroup
from onnxgraph.lookup import nodes_by_name
from onnxgraph.parameters import set_parameter
from onnxgraph.surgery import Cut, Repair, cut_all
from slicer_svc.slicing.adaptation import adapt, first_repairs
from slicer_svc.slicing.assembly import Assembly, restoring
from slicer_svc.slicing.class_data import ClassCase
from slicer_svc.slicing.layer import layer_nodes
from slicer_svc.slicing.network import Network
from slicer_svc.slicing.pooling import class_activations, pool
from slicer_svc.slicing.progress import Step
from slicer_svc.slicing.recipe import Method
from slicer_svc.slicing.repairs import Units, widened
from slicer_svc.slicing.selection import (
    select_by_plain_threshold,
    select_by_rate,
    select_by_threshold,
)
from slicer_svc.slicing.sliced import Sliced
from slicer_svc.slicing.stage import Stage, Stages

Matrices = Mapping[str, NDArray[np.float64]]
"""By consumer node, and by the keys of recurrences: R as `(u, s)`."""


def slice_trained(case: ClassCase, counts: Mapping[str, int], step: Step) -> Sliced:
    """The paper's method: each group pooled, selected, adapted, combined, then the next.

    Args:
        case: The class, and the method `rate`, `threshold` or `threshold_plain`.
        counts: Units to keep by group; read by `rate` alone.
        step: Told each group.

    Returns:
        The sliced model.
    """
    path = _Path(case)
    for group in path.groups:
        if case.recipe.method is Method.RATE and counts[group.id] == group.units:
            path.keep_whole(group)
        else:
            stage = path.stages.at(group)
            before = stage.layer.snapshot()
            pool(stage)
            kept = _selected(stage, counts[group.id])
            start = first_repairs(stage, kept)
            stage.layer.put_back(before, kept)
            path.finish(stage, kept, adapt(stage, kept, start))
        step(group.id)
    return path.sliced()


def adapt_given_units(case: ClassCase, kept: Mapping[str, Units], step: Step) -> Sliced:
    """The paper's adaptation (Eq. 8) for units that something else has chosen, without pooling.

    Args:
        case: The class.
        kept: Kept units by group, sorted.
        step: Told each group.

    Returns:
        The sliced model.
    """
    path = _Path(case)
    for group in path.groups:
        if len(kept[group.id]) == group.units:
            path.keep_whole(group)
        else:
            stage = path.stages.at(group)
            start = first_repairs(stage, kept[group.id])
            path.finish(stage, kept[group.id], adapt(stage, kept[group.id], start))
        step(group.id)
    return path.sliced()


def fuse(
    network: Network, trained: Assembly, cuts: Mapping[str, tuple[Units, Matrices]]
) -> ir.Model:
    """Fusion: each l_i is folded into the next linear layer.

    Args:
        network: The original.
        trained: Its layers as trained.
        cuts: By group, its kept units and its repairs.

    Returns:
        The original with the trained layers, its parameters as if units had simply been dropped.
    """
    model = network.model.clone()
    nodes = nodes_by_name(model.graph)
    groups = [group for group in network.groups if group.id in cuts]
    for group in groups:
        inside = layer_nodes(trained.model, group)
        for use in group.parameters:
            if use.node in inside:
                tensor = trained.view.tensor(use.parameter).detach().cpu().numpy()
                set_parameter(model, nodes[use.node], use.input, tensor)
    folded = []
    for group in groups:
        kept, repairs = cuts[group.id]
        consumers = {found.node: Repair(repairs[found.node]) for found in group.consumers}
        recurrent = {found.node: Repair(repairs[found.key]) for found in group.recurrences}
        folded.append((group, Cut(kept, consumers, recurrent)))
    return cut_all(model, folded)


class _Path:
    """What is finished of one class, group by group from the front to the back."""

    def __init__(self, case: ClassCase) -> None:
        self.stages = Stages(case)
        self.groups = sorted(case.network.groups, key=self.stages.assembly.start)
        self._case = case
        self._kept: dict[str, Units] = {}
        self._cuts: dict[str, tuple[Units, Matrices]] = {}

    def keep_whole(self, group: UnitGroup) -> None:
        self._kept[group.id] = np.arange(group.units, dtype=np.int64)

    def finish(self, stage: Stage, kept: Units, repairs: Matrices) -> None:
        self._kept[stage.group.id] = kept
        self._cuts[stage.group.id] = kept, repairs
        matrices = {
            node: torch.from_numpy(matrix.astype(np.float32)).to(self._case.device)
            for node, matrix in repairs.items()
        }
        stage.assembly.combine(restoring(stage.group, kept, matrices))

    def sliced(self) -> Sliced:
        last = self._case.network.classifier.node
        return Sliced(
            model=fuse(self._case.network, self.stages.assembly, self._cuts),
            kept=self._kept,
            repairs={
                group: widened(repairs[last], kept)
                for group, (kept, repairs) in self._cuts.items()
                if last in repairs
            },
        )


def _selected(stage: Stage, count: int) -> Units:
    """The units that the pooled layer uses for the class, by Eq. 5 or 6."""
    activation, recipe = class_activations(stage), stage.recipe
    if recipe.method is Method.THRESHOLD:
        return select_by_threshold(activation, recipe.share)
    if recipe.method is Method.THRESHOLD_PLAIN:
        return select_by_plain_threshold(activation, recipe.share)
    return select_by_rate(activation, count)
