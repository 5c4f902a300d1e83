"""The repair, then the consumer's own kernel and bias fitted anew (ALGORITHM.md, section 3)."""

from slicer_svc.slicing.adaptations.repair import Repair
from slicer_svc.slicing.adaptations.site import AdaptedSite, CutSite

REFIT_RIDGE = 1e-2
"""λ of the refit, as a share of the patches' mean energy."""


class Refit:
    """`refit`, the default: ridge regression of the consumer on patches, about the folded repair.

    Its targets are the original's outputs before their activation, its regressors patches of the
    network as already sliced; its bias is exact under zero padding.
    """

    reads_units = True
    reads_patches = True

    def adapt(self, cut: CutSite) -> AdaptedSite:
        """The fitted matrix and bias, with the repairs that they are centred on."""
        assert cut.kernel is not None
        centre = Repair().adapt(cut)
        weight, shift = cut.kernel.solve(centre.weight, REFIT_RIDGE, affine=cut.affine)
        return AdaptedSite(weight, shift, centre.repairs)
