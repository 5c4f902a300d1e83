"""What every consumer of cut units does about the dropped ones, by a variant."""

from __future__ import annotations

from benchmarks.ablations.variant import Variant
from slicer_svc.slicing.adaptations.repair import Repair
from slicer_svc.slicing.adaptations.site import AdaptedSite, CutSite, SiteAdaptation
from slicer_svc.slicing.adaptations.table import ADAPTATIONS
from slicer_svc.slicing.recipe import Adaptation


class RefitBy:
    """`Refit` with another ridge.

    Args:
        ridge: λ as a share of the patches' mean energy.
    """

    reads_units = True
    reads_patches = True

    def __init__(self, ridge: float) -> None:
        self._ridge = ridge

    def adapt(self, cut: CutSite) -> AdaptedSite:
        """The fitted matrix and bias, with the repairs that they are centred on."""
        assert cut.kernel is not None
        centre = Repair().adapt(cut)
        weight, shift = cut.kernel.solve(centre.weight, self._ridge, affine=cut.affine)
        return AdaptedSite(weight, shift, centre.repairs)


def site_adaptation(variant: Variant) -> SiteAdaptation:
    """What a variant does at every site."""
    if variant.adaptation in (Adaptation.REFIT, Adaptation.DISTIL):
        return RefitBy(variant.ridge)
    return ADAPTATIONS[variant.adaptation].site
