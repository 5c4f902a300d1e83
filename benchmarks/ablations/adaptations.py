"""What every consumer of cut units does about the dropped ones, by a variant."""

from __future__ import annotations

from benchmarks.ablations.variant import Variant
from slicer_svc.slicing.adaptations.refit import Refit
from slicer_svc.slicing.adaptations.site import SiteAdaptation
from slicer_svc.slicing.adaptations.table import ADAPTATIONS
from slicer_svc.slicing.recipe import Adaptation


def site_adaptation(variant: Variant) -> SiteAdaptation:
    """What a variant does at every site."""
    if variant.adaptation in (Adaptation.REFIT, Adaptation.DISTIL):
        return Refit(variant.ridge, variant.rectified)
    return ADAPTATIONS[variant.adaptation].site
