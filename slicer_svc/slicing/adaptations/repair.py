"""The 1×1 repair in closed form, folded into the consumer (ALGORITHM.md, sections 3 and 4)."""

from slicer_svc.slicing.adaptations.site import AdaptedSite, CutSite
from slicer_svc.slicing.repairs import fit_repair, widened
from slicer_svc.slicing.workbench import folded


class Repair:
    """`repair`: a linear map per group restores its units from the kept ones.

    â = R·a_S by ridge regression from the activations of the network as already sliced to those
    of the original, at the consumer's input: the paper's l_i (Eq. 8) without a gradient.
    """

    reads_units = True
    reads_patches = False
    rectified = False

    def adapt(self, cut: CutSite) -> AdaptedSite:
        """The matrix with R folded in, the bias as it was."""
        repairs = {
            group: widened(
                fit_repair(moments.gram, moments.cross, cut.kept[group]), cut.kept[group]
            )
            for group, moments in cut.units.items()
        }
        whole = folded(cut.weight[:, cut.columns], cut.site, repairs)
        return AdaptedSite(whole[cut.rows], None, repairs)
