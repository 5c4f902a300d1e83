"""The default: greedy column subset selection on class-weighted activations (ALGORITHM.md, 3)."""

from collections.abc import Mapping

import numpy as np

from onnxgraph.groups import UnitGroup
from slicer_svc.slicing.criteria.evidence import Evidence, Matrices
from slicer_svc.slicing.repairs import Units
from slicer_svc.slicing.subset import Target, greedy_columns


def subset(evidence: Evidence, counts: Mapping[str, int]) -> dict[str, Units]:
    """`subset`: units whose kept columns explain all others best, in the metric of the consumer.

    The unit that lowers tr(M·(G − G_S(G_SS + λI)⁻¹G_Sᵀ)) most is taken next (`subset.py`).
    """
    return {
        group.id: subset_of_group(evidence, group, counts[group.id])
        for group in evidence.case.network.groups
    }


def subset_of_group(evidence: Evidence, group: UnitGroup, count: int) -> Units:
    """The first `count` units of one group in the order of `subset`; all as they are numbered."""
    return _order(evidence, group, count, evidence.metrics())


def subset_identity(evidence: Evidence, counts: Mapping[str, int]) -> dict[str, Units]:
    """`subset_identity`: the same with M = I, blind to what the consumers make of the units."""
    return {
        group.id: _order(evidence, group, counts[group.id], None)
        for group in evidence.case.network.groups
    }


def _order(evidence: Evidence, group: UnitGroup, count: int, metrics: Matrices | None) -> Units:
    if count >= group.units:
        return np.arange(group.units, dtype=np.int64)
    return greedy_columns(targets_of(group, evidence.grams(), metrics), count)


def targets_of(group: UnitGroup, grams: Matrices, metrics: Matrices | None) -> list[Target]:
    """What a group's kept units have to explain, at each of its consumers and recurrences.

    Args:
        group: The group.
        grams: What `measure_grams` found.
        metrics: What `metrics_of` found; None for M = I.
    """
    keys = [(consumer.node, group.id) for consumer in group.consumers]
    keys += [(recurrence.key, group.id) for recurrence in group.recurrences]
    identity = np.eye(group.units)
    return [Target(grams[key], identity if metrics is None else metrics[key]) for key in keys]
