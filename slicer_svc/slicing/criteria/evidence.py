"""The seam: what a criterion may look at, and the order of units that it gives back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from onnxgraph.linear import consumer_metric, recurrent_metric
from slicer_svc.slicing.class_data import ClassCase
from slicer_svc.slicing.criteria.activity import Activity
from slicer_svc.slicing.network import Network
from slicer_svc.slicing.repairs import Units

Matrices = Mapping[tuple[str, str], NDArray[np.float64]]
"""By consumer node (or key of a recurrence) and group: float64 `(u, u)` over the group's units."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is known of one class of a model.

    What all classes share or few criteria read is behind a call, made at most once: the caller
    keeps it.

    Attributes:
        case: The class, the model with a view that computes it, and the samples.
        grams: Class-weighted Σ w·a·aᵀ of every group's units as each consumer reads them.
        metrics: Every consumer's metric M over each group's units (`metrics_of`).
        activity: Statistics of all units by label (`measure_activity`).
    """

    case: ClassCase
    grams: Callable[[], Matrices]
    metrics: Callable[[], Matrices]
    activity: Callable[[], Activity]


class UnitCriterion(Protocol):
    """An order of a network's units by what they are worth to a class."""

    def __call__(self, evidence: Evidence, counts: Mapping[str, int]) -> Mapping[str, Units]:
        """Orders the units of every group.

        Args:
            evidence: The class.
            counts: Units to keep, by group.

        Returns:
            By group, the units to keep, best first, int64 `(counts[group],)`: a prefix is the
            choice for a smaller count.
        """


def metrics_of(network: Network) -> Matrices:
    """The metric of every site for each group that it reads: M = Σ Wᵀ W (ALGORITHM.md, 3).

    That of a recurrent node for its own states stands by the recurrence's key.
    """
    sites = {
        (site.node, group): consumer_metric(network.model, consumer)
        for site in network.sites
        for group, consumer in site.reads.items()
    }
    return sites | {
        (found.key, group.id): recurrent_metric(network.model, found)
        for group in network.groups
        for found in group.recurrences
    }


def ranked(
    scores: Mapping[str, NDArray[np.floating]], counts: Mapping[str, int]
) -> dict[str, Units]:
    """The units with the largest scores, best first; ties go to the lower index.

    Args:
        scores: By group, `(u,)`; groups without scores are left out.
        counts: Units to keep, by group.
    """
    return {
        group: np.argsort(-found, kind="stable")[: counts[group]].astype(np.int64)
        for group, found in scores.items()
    }
