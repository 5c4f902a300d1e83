"""The paper's own path: pooling, selection, adaptation, combination (ALGORITHM.md, section 2)."""

from collections.abc import Mapping

import numpy as np

from onnxgraph.groups import UnitGroup
from slicer_svc.slicing.activations import mean_activations
from slicer_svc.slicing.adaptation import Choice, adapt, first_repairs
from slicer_svc.slicing.assembly import Assembly
from slicer_svc.slicing.class_data import ClassData
from slicer_svc.slicing.network import Network
from slicer_svc.slicing.pooling import pool
from slicer_svc.slicing.progress import Step
from slicer_svc.slicing.recipe import Method, Recipe
from slicer_svc.slicing.repairs import Units, widened
from slicer_svc.slicing.selection import select_by_rate, select_by_threshold
from slicer_svc.slicing.sliced import Sliced


def slice_trained(
    network: Network,
    data: ClassData,
    counts: Mapping[str, int],
    recipe: Recipe,
    step: Step,
) -> Sliced:
    """Slices one class by gradient steps: each group pooled, selected, adapted, then the next.

    Args:
        network: The model.
        data: Its samples, seen from the class.
        counts: Units to keep by group; read by the method `rate` alone.
        recipe: The method and its settings.
        step: Told each group.

    Returns:
        The sliced model.
    """
    assembly = Assembly(network)
    original = assembly.frozen()
    kept: dict[str, Units] = {}
    repairs = {}
    for group in network.groups:
        if recipe.method is Method.RATE and counts[group.id] == group.units:
            kept[group.id] = np.arange(group.units, dtype=np.int64)
            step(group.id)
            continue
        before = assembly.frozen()
        pool(assembly, group, data, recipe)
        kept[group.id] = _select(assembly, group, data, counts[group.id], recipe)
        start = first_repairs(assembly, original, group, kept[group.id], data)
        found = adapt(assembly, Choice(group, kept[group.id], before, start), data, recipe)
        assembly.finish(group, kept[group.id], found)
        if network.classifier.node in found:
            repairs[group.id] = widened(found[network.classifier.node], kept[group.id])
        step(group.id)
    return Sliced(assembly.fused(), kept, repairs)


def _select(
    assembly: Assembly, group: UnitGroup, data: ClassData, count: int, recipe: Recipe
) -> Units:
    """The units that the pooled layer uses for the class, by Eq. 5 or 6."""
    activation = mean_activations(assembly.run, [group], data.own)[group.id]
    if recipe.method is Method.THRESHOLD:
        return select_by_threshold(activation, recipe.share)
    return select_by_rate(activation, count)
