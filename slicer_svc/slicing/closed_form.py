"""Slicing without a gradient: selection, repair and refit from Gram matrices (ALGORITHM.md, 3)."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import onnx_ir as ir
import torch
from numpy.typing import NDArray
from torch import Tensor

from onnxgraph.linear import consumer_metric, patches, unit_rows
from onnxgraph.view import TorchView
from slicer_svc.slicing.adaptations.site import AdaptedSite, CutSite, SiteAdaptation
from slicer_svc.slicing.network import Network
from slicer_svc.slicing.progress import Step
from slicer_svc.slicing.repairs import Units
from slicer_svc.slicing.ridge import Moments
from slicer_svc.slicing.sliced import Sliced, without_dropped
from slicer_svc.slicing.subset import Target, greedy_columns
from slicer_svc.slicing.walk import Minibatch, Walk
from slicer_svc.slicing.workbench import Site, Workbench, kept_places

POSITIONS = 64
"""Positions per sample that a refit looks at: neighbouring patches say nearly the same."""

PATCH_ELEMENTS = 1 << 24
"""Elements of the patches that are held at once."""

Grams = Mapping[tuple[str, str], NDArray[np.float64]]
"""By node and group: Σ w·a·aᵀ of the group's units as that node reads them, `(u, u)`."""


def measure_grams(
    network: Network, view: TorchView, batches: Sequence[Minibatch], step: Step
) -> Grams:
    """Gram matrices of all units at all of their consumers, in one pass over the samples.

    Args:
        network: The model.
        view: A view of that model.
        batches: Weighted samples.
        step: Told each node.

    Returns:
        One matrix per site and group.
    """
    walk = Walk(view, network.route, batches)
    grams: dict[tuple[str, str], NDArray[np.float64]] = {}
    for site in network.sites:
        found = walk.advance(site.place, [site.value])
        for batch, values in zip(batches, found, strict=True):
            for group, consumer in site.reads.items():
                rows = unit_rows(consumer, values[site.value]).double()
                per_sample = batch.weights.repeat_interleave(len(rows) // len(batch.weights))
                gram = (rows.T @ (rows * per_sample[:, None])).numpy()
                key = site.node, group
                grams[key] = grams[key] + gram if key in grams else gram
        step(site.node)
    return grams


def targets_of(network: Network, grams: Grams, group: str) -> list[Target]:
    """What a group's kept units have to explain, at each of its consumers."""
    return [
        Target(grams[site.node, group], consumer_metric(network.model, site.reads[group]))
        for site in network.sites
        if group in site.reads
    ]


def choose_units(network: Network, grams: Grams, counts: Mapping[str, int]) -> dict[str, Units]:
    """The kept units of every group by greedy column subset selection, sorted."""
    kept = {}
    for group in network.groups:
        if counts[group.id] >= group.units:
            kept[group.id] = np.arange(group.units, dtype=np.int64)
        else:
            order = greedy_columns(targets_of(network, grams, group.id), counts[group.id])
            kept[group.id] = np.sort(order)
    return kept


def slice_closed_form(
    network: Network,
    view: TorchView,
    batches: Sequence[Minibatch],
    counts: Mapping[str, int],
    adaptation: SiteAdaptation,
    step: Step,
) -> Sliced:
    """Slices one class without a gradient.

    Args:
        network: The model.
        view: A view of that model.
        batches: Class-weighted views of the samples.
        counts: Units to keep, by group.
        adaptation: What every consumer of cut units does about the dropped ones.
        step: Told each site twice: once measured, once adapted.

    Returns:
        The sliced model.
    """
    kept = choose_units(network, measure_grams(network, view, batches, step), counts)
    repaired, repairs = repair_network(network, view, batches, kept, adaptation, step)
    last = network.classifier.node
    return Sliced(
        model=without_dropped(repaired, network.groups, kept),
        kept=kept,
        repairs={group: repair for (node, group), repair in repairs.items() if node == last},
    )


def repair_network(
    network: Network,
    view: TorchView,
    batches: Sequence[Minibatch],
    kept: Mapping[str, Units],
    adaptation: SiteAdaptation,
    step: Step,
) -> tuple[ir.Model, dict[tuple[str, str], NDArray[np.float64]]]:
    """Adapts every consumer of cut units, from the front to the back.

    Asymmetric: the regressors are activations of the network as already sliced, the targets those
    of the original, so that a layer also makes up for the errors of the ones before it.

    Args:
        network: The model.
        view: A view of that model.
        batches: Weighted samples.
        kept: Kept units by group.
        adaptation: What each of them does about the dropped units.
        step: Told each node.

    Returns:
        The adapted model at full width: rows of dropped units are zero in every consumer, so that
        cutting the units away changes nothing. And by node and group R as `(u, u)`, its columns
        of dropped units zero; nodes that nothing has changed for have none.
    """
    bench = Workbench(network.model)
    original = Walk(view, network.route, batches)
    sliced = Walk(bench.view, network.route, batches)
    units = {group.id: group.units for group in network.groups}
    repairs: dict[tuple[str, str], NDArray[np.float64]] = {}
    for site in network.sites:
        if repairs or any(len(kept[group]) < units[group] for group in site.reads):
            fit = _SiteFit(site, bench.matrix(site.node), kept, network.model, adaptation)
            then = original.advance(site.place, [site.value])
            now = sliced.advance(site.place, [site.value])
            for batch, before, after in zip(batches, then, now, strict=True):
                fit.add(before[site.value], after[site.value], batch.weights)
            found = fit.adapted()
            bench.set_matrix(site.node, found.weight, found.bias)
            repairs.update({(site.node, group): r for group, r in found.repairs.items()})
        step(site.node)
    return bench.model, repairs


class _SiteFit:
    """Gathers what an adaptation reads of one site, and asks it for the new matrix."""

    def __init__(
        self,
        site: Site,
        matrix: tuple[NDArray[np.float64], NDArray[np.float64] | None],
        kept: Mapping[str, Units],
        model: ir.Model,
        adaptation: SiteAdaptation,
    ) -> None:
        self._adaptation = adaptation
        self._site = site
        self._weight, bias = matrix
        # A bias that is one number for all outputs stays as it is: no fragment grows.
        self._bias = bias if bias is not None and _per_output(model, site, bias) else None
        self._kept = kept
        self._model = model
        self._places = kept_places(site, kept)
        self._units = {group: Moments() for group in site.reads if adaptation.reads_units}
        self._kernel = Moments() if adaptation.reads_patches else None
        self._random = torch.Generator().manual_seed(site.place)

    def add(self, before: Tensor, after: Tensor, weights: Tensor) -> None:
        """Adds a minibatch of what the node reads in the original and in the sliced network."""
        for group, moments in self._units.items():
            consumer = self._site.reads[group]
            regressors = unit_rows(consumer, after)[:, torch.from_numpy(self._kept[group])]
            moments.add(regressors, unit_rows(consumer, before), weights)
        if self._kernel is None:
            return
        left = after.index_select(self._site.axis, torch.from_numpy(self._places))
        matrix = torch.from_numpy(self._weight)
        for part in _parts(before, len(self._weight) // self._site.width):
            rows = self._patches(left[part])
            chosen = self._positions(len(rows), len(before[part]))
            target = self._patches(before[part])[chosen].double() @ matrix
            self._kernel.add(rows[chosen], target, weights[part])

    def adapted(self) -> AdaptedSite:
        """The node's new matrix, bias and repairs."""
        return self._adaptation.adapt(
            CutSite(
                site=self._site,
                weight=self._weight,
                bias=self._bias,
                kept=self._kept,
                places=self._places,
                units=self._units,
                kernel=self._kernel,
            )
        )

    def _positions(self, rows: int, samples: int) -> Tensor:
        """Rows of at most `POSITIONS` positions a sample, others at every call."""
        positions = rows // samples
        drawn = torch.randperm(positions, generator=self._random)[:POSITIONS].sort().values
        return (torch.arange(samples)[:, None] * positions + drawn).reshape(-1)

    def _patches(self, values: Tensor) -> Tensor:
        return patches(self._model, self._site.node, values)


def _per_output(model: ir.Model, site: Site, bias: NDArray[np.float64]) -> bool:
    name = next(iter(site.reads.values())).bias
    value = None if name is None else model.graph.initializers.get(name)
    return (
        value is not None
        and value.const_value is not None
        and (value.const_value.size == bias.size)
    )


def _parts(values: Tensor, taps: int) -> Iterator[slice]:
    """Slices of samples whose patches, of `taps` elements per value, stay small."""
    per_sample = max(1, values[0].numel() * taps)
    size = max(1, PATCH_ELEMENTS // per_sample)
    return (slice(start, start + size) for start in range(0, len(values), size))
