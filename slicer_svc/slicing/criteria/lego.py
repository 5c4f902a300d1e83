"""Contributions to what is kept behind a unit (Hu et al., Model LEGO, NeurIPS 2024)."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from onnxgraph.groups import Consumer, UnitGroup
from onnxgraph.linear import patches, weights_by_place
from slicer_svc.slicing.class_data import ClassCase
from slicer_svc.slicing.criteria.evidence import Evidence, ranked
from slicer_svc.slicing.measures import flat
from slicer_svc.slicing.network import Network
from slicer_svc.slicing.repairs import Units

CONFIDENT = 0.01
"""Share of class c's samples that is looked at: those that the model is surest of."""

LEAST_SAMPLES = 8
"""Samples that are looked at at least, where class c has so many."""


def lego(evidence: Evidence, counts: Mapping[str, int]) -> dict[str, Units]:
    """`lego`: how much units add to the kept outputs of their consumers, from the back.

    In the manner of Model LEGO's relative contribution: on the samples of class c that the model is
    surest of, a unit's contribution to an output is what its own kernel adds to it, summed over
    positions; min-max over the units of a layer; summed over the outputs that are kept, which for
    the classifier is class c alone. Its thresholds are replaced by the plan's counts: nothing is
    tuned. Layers are taken from the back, since what is kept there decides what counts before.
    """
    case = evidence.case
    network = case.network
    inputs = _surest(case)
    sums = _summed_patches(case, inputs)
    kept: dict[str, Units] = {}
    last = {site.node: site.place for site in network.sites}
    for group in sorted(
        network.groups, key=lambda one: -max(last[consumer.node] for consumer in one.consumers)
    ):
        score = np.zeros(group.units)
        for consumer in group.consumers:
            outputs = _kept_outputs(network, consumer, case.classes, kept)
            score += _relative(_contributions(network, consumer, sums[consumer.node])[:, outputs])
        kept.update(ranked({group.id: score}, counts))
    return kept


def _surest(case: ClassCase) -> dict[str, torch.Tensor]:
    """Inputs of the samples of class c with the highest probability of c."""
    name = case.network.classifier.scores
    found = []
    with torch.no_grad():
        for batch in case.data.own:
            scores = flat(case.view.run(batch.inputs, fetch=[name])[name])
            found.append(scores.softmax(dim=1)[:, list(case.classes)].sum(dim=1))
    probabilities = torch.cat(found)
    count = max(LEAST_SAMPLES, round(CONFIDENT * len(probabilities)))
    chosen = probabilities.argsort(descending=True, stable=True)[:count]
    return {
        key: torch.cat([batch.inputs[key] for batch in case.data.own])[chosen]
        for key in case.data.own[0].inputs
    }


def _summed_patches(
    case: ClassCase, inputs: Mapping[str, torch.Tensor]
) -> dict[str, NDArray[np.float64]]:
    """By site: patches of what it reads, summed over samples and positions, `(places, taps)`."""
    sites = case.network.sites
    with torch.no_grad():
        values = case.view.run(inputs, fetch=[site.value for site in sites])
        return {
            site.node: patches(case.network.model, site.node, values[site.value])
            .double()
            .sum(dim=0)
            .reshape(site.width, -1)
            .cpu()
            .numpy()
            for site in sites
        }


def _contributions(
    network: Network, consumer: Consumer, summed: NDArray[np.float64]
) -> NDArray[np.float64]:
    """What every unit adds to every output of a consumer, `(u, out)`."""
    weights = weights_by_place(network.model, consumer.node).astype(np.float64)
    by_place = np.einsum("pt,pto->po", summed, weights)
    return np.asarray(by_place[consumer.positions].sum(axis=1))


def _relative(contributions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Min-max over the units for each output, then the mean over outputs, `(u,)`."""
    low, high = contributions.min(axis=0), contributions.max(axis=0)
    span = np.where(high > low, high - low, 1.0)
    return np.asarray(((contributions - low) / span).mean(axis=1))


def _kept_outputs(
    network: Network, consumer: Consumer, classes: Sequence[int], kept: Mapping[str, Units]
) -> NDArray[np.int64]:
    """Outputs of a node that are kept, as far as that is known: of the classifier the classes'."""
    if consumer.node == network.classifier.node:
        return np.array(classes, dtype=np.int64)
    left = np.ones(weights_by_place(network.model, consumer.node).shape[2], dtype=np.bool_)
    for group in network.groups:
        if group.id in kept:
            left &= _left(group, consumer, len(left), kept[group.id])
    return np.flatnonzero(left).astype(np.int64)


def _left(group: UnitGroup, consumer: Consumer, outputs: int, kept: Units) -> NDArray[np.bool_]:
    """Which outputs of a node a group leaves when it is cut."""
    left = np.ones(outputs, dtype=np.bool_)
    for use in group.parameters:
        produced = use.node == consumer.node and use.node in group.producers
        if produced and use.parameter == consumer.weight:
            left &= (use.units < 0) | np.isin(use.units, kept)
    return left
