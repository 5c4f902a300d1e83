"""Units by chance: what every other criterion has to beat."""

from collections.abc import Mapping

import numpy as np

from slicer_svc.slicing.criteria.evidence import Evidence
from slicer_svc.slicing.repairs import Units


def random_units(evidence: Evidence, counts: Mapping[str, int]) -> dict[str, Units]:
    """`random`: a permutation per class and group, drawn from the recipe's seed."""
    case = evidence.case
    return {
        group.id: np.random.default_rng([case.recipe.seed, *case.classes, number])
        .permutation(group.units)[: counts[group.id]]
        .astype(np.int64)
        for number, group in enumerate(case.network.groups)
    }
