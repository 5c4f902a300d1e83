"""No adaptation: dropped units are missed, and that is all."""

import numpy as np

from slicer_svc.slicing.adaptations.site import AdaptedSite, CutSite
from slicer_svc.slicing.workbench import rows_of


class Drop:
    """`none`: what the kept units gave to their consumers before is all that is left."""

    reads_units = False
    reads_patches = False

    def adapt(self, cut: CutSite) -> AdaptedSite:
        """Rows of dropped units become zero, the others and the bias stay."""
        rows = rows_of(cut.places, cut.site, len(cut.weight))
        weight = np.zeros_like(cut.weight)
        weight[rows] = cut.weight[rows]
        repairs = {}
        for group, consumer in cut.site.reads.items():
            repairs[group] = np.zeros((len(consumer.positions),) * 2)
            repairs[group][cut.kept[group], cut.kept[group]] = 1.0
        return AdaptedSite(weight, None, repairs)
