"""How much units vary (Polyak and Wolf, Channel-Level Acceleration, IEEE Access 2015)."""

from collections.abc import Mapping

from slicer_svc.slicing.criteria.evidence import Evidence, ranked
from slicer_svc.slicing.repairs import Units


def variance(evidence: Evidence, counts: Mapping[str, int]) -> dict[str, Units]:
    """`variance`: class-weighted variance of a unit's output over samples and positions.

    A unit that never varies gives its consumers no more than a bias could.
    """
    activity = evidence.activity()
    weights = activity.weights(evidence.case.classes)
    return ranked({group: s.variance(weights) for group, s in activity.own.items()}, counts)
