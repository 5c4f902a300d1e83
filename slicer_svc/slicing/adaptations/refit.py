"""The repair, then the consumer's own kernel and bias fitted anew (ALGORITHM.md, section 3)."""

from dataclasses import dataclass

from slicer_svc.slicing.adaptations.repair import Repair
from slicer_svc.slicing.adaptations.site import AdaptedSite, CutSite

RIDGE = 1e-2
"""λ where nothing else is asked for: among 1e-3, 3e-3, 1e-2 and 3e-2 as good as any."""


@dataclass(frozen=True)
class Refit:
    """`refit`, the default: ridge regression of the consumer on patches, about the folded repair.

    Its targets are the original's outputs before their activation, its regressors patches of the
    network as already sliced; its bias is exact under zero padding.

    Attributes:
        ridge: λ, as a share of the patches' mean energy.
        rectified: Whether errors that a rectifier behind the consumer hides count for nothing.
    """

    ridge: float = RIDGE
    rectified: bool = True

    reads_units = True
    reads_patches = True

    def adapt(self, cut: CutSite) -> AdaptedSite:
        """The fitted matrix and bias, with the repairs that they are centred on."""
        assert cut.kernel is not None
        centre = Repair().adapt(cut)
        weight, shift = cut.kernel.solve(centre.weight, self.ridge, affine=cut.affine)
        return AdaptedSite(weight, shift, centre.repairs)
