"""No adaptation: dropped units are missed, and that is all."""

import numpy as np

from slicer_svc.slicing.adaptations.site import AdaptedSite, CutSite


class Drop:
    """`none`: what the kept units gave to their consumers before is all that is left."""

    reads_units = False
    reads_patches = False
    rectified = False

    def adapt(self, cut: CutSite) -> AdaptedSite:
        """Rows of dropped units go, the others and the bias stay."""
        repairs = {}
        for group, consumer in cut.site.reads.items():
            repairs[group] = np.zeros((len(consumer.positions),) * 2)
            repairs[group][cut.kept[group], cut.kept[group]] = 1.0
        return AdaptedSite(cut.weight[np.ix_(cut.rows, cut.columns)], None, repairs)
