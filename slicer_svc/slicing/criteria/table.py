"""All criteria by their names, and the choice that is made by them."""

from collections.abc import Mapping

import numpy as np

from slicer_svc.slicing.criteria.chance import random_units
from slicer_svc.slicing.criteria.class_taylor import class_taylor
from slicer_svc.slicing.criteria.classifier_norm import classifier_norm
from slicer_svc.slicing.criteria.columns import subset, subset_identity
from slicer_svc.slicing.criteria.evidence import Evidence, UnitCriterion
from slicer_svc.slicing.criteria.l1 import l1_norm
from slicer_svc.slicing.criteria.learned_mask import learned_mask
from slicer_svc.slicing.criteria.lego import lego
from slicer_svc.slicing.criteria.norms import activation_norm, pooled_activation_norm
from slicer_svc.slicing.criteria.variance import variance
from slicer_svc.slicing.recipe import Criterion
from slicer_svc.slicing.repairs import Units

CRITERIA: Mapping[Criterion, UnitCriterion] = {
    Criterion.SUBSET: subset,
    Criterion.SUBSET_IDENTITY: subset_identity,
    Criterion.RANDOM: random_units,
    Criterion.L1: l1_norm,
    Criterion.ACTIVATION_NORM: activation_norm,
    Criterion.POOLED_ACTIVATION_NORM: pooled_activation_norm,
    Criterion.CLASS_TAYLOR: class_taylor,
    Criterion.VARIANCE: variance,
    Criterion.LEGO: lego,
    Criterion.LEARNED_MASK: learned_mask,
    Criterion.CLASSIFIER_NORM: classifier_norm,
}


def choose_units(evidence: Evidence, counts: Mapping[str, int]) -> dict[str, Units]:
    """The units of every group that a class keeps by its recipe's criterion.

    Args:
        evidence: The class.
        counts: Units to keep, by group.

    Returns:
        By group, sorted int64 `(counts[group],)`.
    """
    order = CRITERIA[evidence.case.recipe.criterion](evidence, counts)
    return {group: np.sort(units) for group, units in order.items()}
