"""Training-free disassembly and assembly in the manner of Model LEGO (Hu et al., NeurIPS 2024).

From the back to the front, a unit is kept for a class where it contributes to an output that is
kept. The thresholds are the published defaults; nothing is picked on test examples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir
import torch
from numpy.typing import NDArray

from benchmarks.paper.originals import Original
from benchmarks.paper.trial import Answers, Trial
from onnxgraph.classifier import as_fragment, find_classifier
from onnxgraph.groups import UnitGroup
from onnxgraph.linear import linear_parts, patches, weights_by_place
from onnxgraph.lookup import node_named
from onnxgraph.serialise import to_bytes
from onnxgraph.surgery import Cut, cut
from onnxgraph.view import TorchView
from packer_svc.fusion.features import FragmentFeatures
from slicer_svc.slicing.network import Network
from slicer_svc.slicing.workbench import Site

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

THRESHOLDS: Mapping[str, tuple[float, float]] = {"Conv": (0.3, 0.2)}
"""α of single contributions and β of their sums at a convolution."""

DENSE_THRESHOLDS = (0.4, 0.3)
"""The same at a dense layer."""

CONFIDENT_SHARE = 0.5
"""Of a class's samples, those that the origin is surest of; the published one is the surest 1 %
of a whole training set, which k samples do not give."""


def disassembly(trial: Trial) -> Answers:
    """Takes every class out of its origin, pads the parts into one network, compares scores."""
    return Answers(assembled(trial, parts_of(trial)), "published")


def parts_of(trial: Trial) -> list[bytes]:
    """Every class's part of its origin, in the order of the pack's classes."""
    (inputs,) = trial.samples.inputs.values()
    return [
        disassembled(original, place, inputs[trial.samples.labels == number])
        for number, (original, place) in enumerate(zip(trial.originals, trial.places, strict=True))
    ]


def assembled(trial: Trial, parts: Sequence[bytes]) -> NDArray[np.int64]:
    """What the parts answer to the test examples `(n,)`.

    Padded block by block, the parts compute what they compute alone; the last layer of each is
    scaled so that its class scores 1 on average on the class's own samples.

    Args:
        trial: The pack.
        parts: Those of its classes.
    """
    seen = trial.store.outputs(parts, trial.samples.inputs)
    tested = trial.store.outputs(parts, trial.test)
    columns = []
    for number, place in enumerate(trial.places):
        own_scores = _scores(seen[number], place)[trial.samples.labels == number]
        mean = float(own_scores.mean())
        # A class that scores nothing on its own samples cannot be scaled.
        columns.append(_scores(tested[number], place) * (1.0 / mean if mean > 0 else 1.0))
    named: NDArray[np.int64] = np.stack(columns, axis=1).argmax(axis=1).astype(np.int64)
    return named


def disassembled(original: Original, place: int, inputs: NDArray[np.generic]) -> bytes:
    """A class's part of an origin, nothing repaired, as a fragment.

    Args:
        original: The origin.
        place: The class's index in its scores.
        inputs: Samples of the class.
    """
    network = Network.of(original.model)
    kept = relevant_units(network, place, _confident(network, place, inputs))
    model = network.model
    for group in network.groups:
        model = cut(model, group, Cut(kept[group.id]))
    return to_bytes(as_fragment(model, find_classifier(model)))


def relevant_units(
    network: Network, place: int, inputs: NDArray[np.generic]
) -> dict[str, NDArray[np.int64]]:
    """Units that contribute to a class, by group.

    Args:
        network: The origin.
        place: The class's index in its scores.
        inputs: Samples of the class.
    """
    values = [site.value for site in network.sites]
    view = TorchView(network.model)
    (name,) = view.input_names
    with torch.no_grad():
        seen = view.run({name: torch.from_numpy(inputs)}, fetch=values)
    units = {group.id: np.zeros(group.units, dtype=np.bool_) for group in network.groups}
    for site in reversed(network.sites):
        wanted = _wanted_outputs(network, site, place, units)
        found = contributions(network.model, site, seen[site.value])
        chosen = _relevant(found, wanted, _thresholds(network.model, site))
        for group, consumer in site.reads.items():
            units[group] |= chosen[consumer.positions].any(axis=1)
    return {group: np.flatnonzero(mask).astype(np.int64) for group, mask in units.items()}


def contributions(model: ir.Model, site: Site, value: torch.Tensor) -> Array:
    """What each place of a linear node's input adds to each of its outputs.

    Its share of the pre-activation summed over positions, negative sums left out, summed over the
    samples: `(places, outputs)`.

    Args:
        model: The graph.
        site: The linear node.
        value: What it reads, `(n, ...)`.
    """
    weight = torch.from_numpy(weights_by_place(model, site.node)).float()
    count = len(value)
    rows = patches(model, site.node, value).reshape(count, -1, weight.shape[0] * weight.shape[1])
    summed = rows.sum(dim=1).reshape(count, *weight.shape[:2])
    shares = torch.einsum("nwt,wto->nwo", summed, weight).clamp(min=0)
    found: Array = shares.sum(dim=0).numpy().astype(np.float64)
    return found


def _relevant(found: Array, wanted: Mask, thresholds: tuple[float, float]) -> Mask:
    """Places whose contributions to the wanted outputs stand out, at least one of them."""
    single, summed = thresholds
    counts = (_scaled(found, axis=0) > single)[:, wanted].sum(axis=1).astype(np.float64)
    chosen: Mask = _scaled(counts, axis=0) > summed
    if not chosen.any():
        chosen[found[:, wanted].sum(axis=1).argmax()] = True
    return chosen


def _scaled(values: Array, axis: int) -> Array:
    """Between 0 and 1, by least and largest along an axis."""
    least, largest = values.min(axis=axis, keepdims=True), values.max(axis=axis, keepdims=True)
    scaled: Array = (values - least) / (largest - least + 1e-5)
    return scaled


def _wanted_outputs(network: Network, site: Site, place: int, units: Mapping[str, Mask]) -> Mask:
    """Outputs of a linear node that a kept unit or the class stands on."""
    outputs = weights_by_place(network.model, site.node).shape[2]
    if site.node == network.classifier.node:
        of_class: Mask = np.arange(outputs) == place
        return of_class
    everything: Mask = np.ones(outputs, dtype=np.bool_)
    for group in network.groups:
        if site.node in group.producers:
            mask: Mask = units[group.id][_unit_of_outputs(network.model, group, site.node)]
            # Nothing behind has asked for this group yet: its readers are not linear nodes.
            return mask if mask.any() else everything
    return everything


def _unit_of_outputs(model: ir.Model, group: UnitGroup, node: str) -> NDArray[np.int64]:
    """The unit that each output of a producer belongs to."""
    call, facet, _ = linear_parts(model, node_named(model, node))
    axis = facet.output_axis(call)
    return next(
        parameter.units
        for parameter in group.parameters
        if parameter.node == node and parameter.input == 1 and parameter.axis == axis
    )


def _thresholds(model: ir.Model, site: Site) -> tuple[float, float]:
    return THRESHOLDS.get(node_named(model, site.node).op_type, DENSE_THRESHOLDS)


def _confident(network: Network, place: int, inputs: NDArray[np.generic]) -> NDArray[np.generic]:
    """The samples that the origin gives their class the largest probability."""
    view = TorchView(network.model)
    (name,) = view.input_names
    scores = network.classifier.scores
    with torch.no_grad():
        found = view.run({name: torch.from_numpy(inputs)}, fetch=[scores])[scores].flatten(1)
    sure = torch.softmax(found, dim=1)[:, place].numpy()
    count = int(np.ceil(CONFIDENT_SHARE * len(inputs)))
    surest: NDArray[np.generic] = inputs[np.argsort(-sure, kind="stable")[:count]]
    return surest


def _scores(outputs: FragmentFeatures, place: int) -> Array:
    return outputs.scores[:, place].astype(np.float64)
