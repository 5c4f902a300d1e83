"""Sensitivity curves: what the model's features lose when one group alone is cut and repaired."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from onnxgraph.groups import UnitGroup
from onnxgraph.view import TorchView
from slicer_svc.slicing.closed_form import Grams, measure_grams
from slicer_svc.slicing.criteria.columns import targets_of
from slicer_svc.slicing.criteria.evidence import metrics_of
from slicer_svc.slicing.device import fastest_device
from slicer_svc.slicing.measures import RelativeError
from slicer_svc.slicing.network import Network
from slicer_svc.slicing.original import Original
from slicer_svc.slicing.plan import Curve
from slicer_svc.slicing.progress import Step
from slicer_svc.slicing.repairs import Units, fit_repair, mixed, widened
from slicer_svc.slicing.selection import kept_count
from slicer_svc.slicing.subset import greedy_columns
from slicer_svc.slicing.walk import Minibatch, Walk
from slicer_svc.slicing.workbench import Site, Workbench, folded, folded_states

GRAIN = 8
"""A curve has the points 1/8 … 7/8 of a group's units."""


@dataclass(frozen=True)
class CurveSamples:
    """What curves are measured on.

    Attributes:
        fit: Weighted views that repairs are fitted on.
        test: Weighted samples whose features are compared.
    """

    fit: Sequence[Minibatch]
    test: Sequence[Minibatch]


def measure_curves(network: Network, samples: CurveSamples, step: Step) -> tuple[Curve, ...]:
    """The curves of all groups, in the groups' order.

    Args:
        network: The model.
        samples: What to measure on.
        step: Told each node of the pass over the samples, then each group.

    Returns:
        One curve per group.
    """
    view = TorchView(network.model).to(fastest_device())
    original = Original.of(network, view, samples.fit, step)
    weights = torch.cat([batch.weights for batch in samples.fit]).numpy()
    grams = measure_grams(original, weights)
    walk = Walk(view, network.route, samples.test)
    bench = _Bench(network, grams, samples.test, walk)
    curves = {}
    for group in sorted(network.groups, key=lambda group: bench.start(group.id)):
        curves[group.id] = bench.curve(group)
        step(group.id)
    return tuple(curves[group.id] for group in network.groups)


class _Bench:
    """Cuts one group at a time and looks at the features."""

    def __init__(
        self, network: Network, grams: Grams, batches: Sequence[Minibatch], original: Walk
    ) -> None:
        self._network = network
        self._grams = grams
        self._metrics = metrics_of(network)
        self._batches = batches
        self._bench = Workbench(network.model)
        self._bench.view.to(fastest_device())
        self._walk = Walk(self._bench.view, network.route, batches)
        end = network.route.place(network.classifier.node)
        feature = network.classifier.feature
        self._features = [values[feature] for values in original.advance(end, [feature])]

    def start(self, group: str) -> int:
        """The place of the first node that reads the group, be it as its own states."""
        places = [site.place for site in self._sites(group)]
        return min(places + [tap.place for tap in self._network.recurrences if tap.group == group])

    def curve(self, group: UnitGroup) -> Curve:
        """Measures one group; to be called in the order of `start`."""
        counts = sorted({kept_count(group.units, eighth / GRAIN) for eighth in range(1, GRAIN)})
        counts = [count for count in counts if count < group.units]
        targets = targets_of(group, self._grams, self._metrics)
        order = greedy_columns(targets, counts[-1])
        self._walk.go_to(self.start(group.id))
        errors = [self._error(group, np.sort(order[:count])) for count in counts]
        # Keeping more never hurts: what rises is noise of few samples.
        falling = np.maximum.accumulate(errors[::-1])[::-1]
        return Curve(group.id, group.units, tuple(counts), tuple(float(e) for e in falling))

    def _sites(self, group: str) -> list[Site]:
        return [site for site in self._network.sites if group in site.reads]

    def _error(self, group: UnitGroup, kept: Units) -> float:
        """The error of the features with `kept` units of the group."""
        whole: dict[str, NDArray[np.float64]] = {}
        last: tuple[Site, NDArray[np.float64]] | None = None
        recurrent = {found: self._bench.recurrent_matrix(found) for found in group.recurrences}
        for recurrence, weight in recurrent.items():
            repair = self._repair(recurrence.key, group, kept)
            repaired = folded_states(weight, recurrence, repair)
            self._bench.set_recurrent_matrix(recurrence, repaired)
        for site in self._sites(group.id):
            full = self._repair(site.node, group, kept)
            if site.node == self._network.classifier.node:
                last = site, full
                continue
            whole[site.node], _ = self._bench.matrix(site.node)
            repaired = folded(whole[site.node], site, {group.id: full})
            self._bench.set_matrix(site.node, repaired, None)
        error = self._feature_error(group.id, last)
        for node, weight in whole.items():
            self._bench.set_matrix(node, weight, None)
        for recurrence, weight in recurrent.items():
            self._bench.set_recurrent_matrix(recurrence, weight)
        return error

    def _repair(self, key: str, group: UnitGroup, kept: Units) -> NDArray[np.float64]:
        """R at one consumer or recurrence, `(u, u)`."""
        gram = self._grams[key, group.id]
        return widened(fit_repair(gram[np.ix_(kept, kept)], gram[kept], kept), kept)

    def _feature_error(self, group: str, last: tuple[Site, NDArray[np.float64]] | None) -> float:
        """Compares features; those of the group itself only once they are repaired."""
        error = RelativeError()
        feature = self._network.classifier.feature
        found = self._walk.look_ahead([feature])
        for batch, reference, values in zip(self._batches, self._features, found, strict=True):
            features = values[feature]
            if last is not None:
                site, repair = last
                matrix = torch.from_numpy(repair).to(features.dtype)
                features = mixed(features, site.reads[group], matrix)
            error.add(features, reference, batch.weights)
        return error.share
