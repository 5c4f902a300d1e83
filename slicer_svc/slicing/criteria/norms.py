"""How active units are on class c, with the layers as they are or pooled (Eq. 6)."""

from collections.abc import Mapping

import numpy as np

from slicer_svc.slicing.criteria.evidence import Evidence, ranked
from slicer_svc.slicing.pooling import class_activations, pool
from slicer_svc.slicing.repairs import Units
from slicer_svc.slicing.stage import Stages


def activation_norm(evidence: Evidence, counts: Mapping[str, int]) -> dict[str, Units]:
    """`activation_norm`: mean |activation| on class c (Slice-and-Pack, Eq. 6), without pooling."""
    classes = list(evidence.case.classes)
    own = evidence.activity().own
    scores = {group: spread.magnitude[classes].mean(axis=0) for group, spread in own.items()}
    return ranked(scores, counts)


def pooled_activation_norm(evidence: Evidence, counts: Mapping[str, int]) -> dict[str, Units]:
    """`pooled_activation_norm`: the same of each layer once it is pooled (Eq. 3, 4, then 6).

    Each layer is pooled alone, all others as they are in the model, by the recipe's steps, learning
    rate and α. Layers that are kept whole are left out.
    """
    case = evidence.case
    stages = Stages(case)
    scores = {}
    for group in sorted(case.network.groups, key=stages.assembly.start):
        if counts[group.id] >= group.units:
            scores[group.id] = np.zeros(group.units)
            continue
        stage = stages.at(group)
        before = stage.layer.snapshot()
        pool(stage)
        scores[group.id] = class_activations(stage)
        stage.layer.put_back(before, np.empty(0, dtype=np.int64))
    return ranked(scores, counts)
