"""The repair, then the consumer's own kernel and bias fitted anew (ALGORITHM.md, section 3)."""

import numpy as np

from slicer_svc.slicing.adaptations.repair import Repair
from slicer_svc.slicing.adaptations.site import AdaptedSite, CutSite
from slicer_svc.slicing.ridge import affine_ridge, ridge
from slicer_svc.slicing.workbench import rows_of

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
        repaired = Repair().adapt(cut)
        rows = rows_of(cut.places, cut.site, len(cut.weight))
        centre = repaired.weight[rows]
        damping = REFIT_RIDGE * cut.kernel.scale
        weight = np.zeros_like(cut.weight)
        if cut.bias is None:
            weight[rows] = ridge(cut.kernel.gram, cut.kernel.cross, centre, damping)
            return AdaptedSite(weight, None, repaired.repairs)
        weight[rows], shift = affine_ridge(cut.kernel, centre, damping)
        return AdaptedSite(weight, cut.bias + shift, repaired.repairs)
