"""One class of an origin, sliced by a variant."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir

from benchmarks.ablations.adaptations import site_adaptation
from benchmarks.ablations.counts import Budget, kept_counts
from benchmarks.ablations.laboratory import CurveKey, Laboratory, sight_of
from benchmarks.ablations.low_rank import factorised
from benchmarks.ablations.sweeps import slice_symmetric, swept_again
from benchmarks.ablations.variant import Variant
from onnxgraph.classifier import as_fragment, find_classifier
from onnxgraph.serialise import to_bytes
from slicer_svc.slicing.adaptations.distil import RATE_SHARE, distil
from slicer_svc.slicing.class_data import ClassCase
from slicer_svc.slicing.closed_form import slice_closed_form
from slicer_svc.slicing.criteria.activity import measure_activity
from slicer_svc.slicing.criteria.evidence import Evidence
from slicer_svc.slicing.criteria.table import choose_units
from slicer_svc.slicing.recipe import Adaptation, Recipe
from slicer_svc.slicing.repairs import Units
from slicer_svc.slicing.samples import Samples
from slicer_svc.slicing.sliced import Sliced
from slicer_svc.slicing.walk import minibatches


def fragment(lab: Laboratory, place: int, target: int, variant: Variant, budget: Budget) -> bytes:
    """Slices one class.

    Args:
        lab: The draw.
        place: The origin's place in the task.
        target: The class, as the origin numbers it.
        variant: How.
        budget: To which size.

    Returns:
        The ONNX file.

    Raises:
        SlicingError: BUDGET_UNREACHABLE.
    """
    sight = sight_of(variant, place)
    fitted = sight_of(Variant(views=variant.views, extra=variant.extra), place)
    own = target if variant.per_class else None
    key = CurveKey(fitted, variant.extra_share, variant.curves_on_views, own)
    counts = kept_counts(lab.networks[place], lab.curves(key), variant, budget)
    case = _case(lab, place, target, variant)
    kept = _units(lab, case, variant, place, counts)
    weights = lab.weights(sight, target, variant.extra_share)
    original, adaptation = lab.original(sight), site_adaptation(variant)
    if variant.symmetric:
        sliced = slice_symmetric(original, weights, kept, adaptation)
    else:
        sliced = slice_closed_form(original, weights, kept, adaptation, lambda _: None)
    for _ in range(variant.sweeps - 1):
        sliced = swept_again(original, weights, sliced, variant.ridge)
    if variant.adaptation is Adaptation.DISTIL:
        sliced = distil(case, sliced, lambda _: None)
    return to_bytes(_finished(sliced, variant, lab.pictures(sight), weights))


def _case(lab: Laboratory, place: int, target: int, variant: Variant) -> ClassCase:
    """The class as criteria and training see it: on its labelled views."""
    recipe = Recipe(
        criterion=variant.criterion,
        adaptation=variant.adaptation,
        views=variant.views,
        seed=lab.draw.seed,
        learning_rate=variant.distil_rate / RATE_SHARE,
    )
    labelled = lab.pictures(sight_of(Variant(views=variant.views), place))
    return ClassCase(lab.networks[place], lab.view(place), labelled, (target,), recipe)


def _units(
    lab: Laboratory, case: ClassCase, variant: Variant, place: int, counts: Mapping[str, int]
) -> dict[str, Units]:
    sight = sight_of(variant, place)
    evidence = Evidence(
        case=case,
        grams=lambda: lab.grams(sight, case.classes[0], variant.extra_share),
        metrics=lambda: lab.metrics(place),
        activity=lambda: measure_activity(case.network, case.view, case.views),
    )
    return choose_units(evidence, counts)


def _finished(sliced: Sliced, variant: Variant, pictures: Samples, weights: np.ndarray) -> ir.Model:
    model = sliced.model
    if variant.rank_share < 1:
        model = factorised(model, minibatches(pictures, weights), variant.rank_share)
    return as_fragment(model, find_classifier(model))
