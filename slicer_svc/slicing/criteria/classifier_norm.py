"""The classifier's own weights as a guide where nothing can be repaired (ALGORITHM.md, T7)."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from onnxgraph.groups import Consumer
from onnxgraph.linear import weights_by_place
from slicer_svc.slicing.criteria.columns import subset_of_group
from slicer_svc.slicing.criteria.evidence import Evidence, ranked
from slicer_svc.slicing.network import Network
from slicer_svc.slicing.repairs import Units


def classifier_norm(evidence: Evidence, counts: Mapping[str, int]) -> dict[str, Units]:
    """`classifier_norm`: max over classes of ‖W_fc‖ times the unit's standard deviation.

    For groups that the classifier alone reads: what is left of them are the features themselves.
    Groups that another node reads as well can be repaired there and are ordered by `subset`.
    """
    case = evidence.case
    last = case.network.classifier.node
    activity = evidence.activity()
    weights = activity.weights(case.classes)
    orders: dict[str, Units] = {}
    for group in case.network.groups:
        if [consumer.node for consumer in group.consumers] == [last]:
            spread = np.sqrt(activity.classifier[group.id].variance(weights))
            score = spread * _largest_norms(case.network, group.consumers[0])
            orders.update(ranked({group.id: score}, counts))
        else:
            orders[group.id] = subset_of_group(evidence, group, counts[group.id])
    return orders


def _largest_norms(network: Network, classifier: Consumer) -> NDArray[np.float64]:
    """Max over classes of the norm of a unit's weights to that class, `(u,)`."""
    by_place = weights_by_place(network.model, classifier.node).astype(np.float64)
    of_units = by_place[classifier.positions].sum(axis=2)  # (u, block, classes): one tap a place
    return np.asarray(np.linalg.norm(of_units, axis=1).max(axis=1))
