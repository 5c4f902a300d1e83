"""Slicing without a gradient: selection, repair and refit from Gram matrices (ALGORITHM.md, 3)."""

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from onnxgraph.groups import Recurrence, UnitGroup
from onnxgraph.linear import patches, weight_matrix
from onnxgraph.surgery import Cut, Repair, cut_all
from slicer_svc.slicing.adaptations.site import AdaptedSite, CutSite, SiteAdaptation
from slicer_svc.slicing.original import Original, SiteValues, apart, rows_at
from slicer_svc.slicing.progress import Step
from slicer_svc.slicing.rectified import RectifiedRegression, floor_behind
from slicer_svc.slicing.repairs import Units, fit_repair
from slicer_svc.slicing.ridge import Moments, Regression
from slicer_svc.slicing.sliced import Sliced
from slicer_svc.slicing.walk import Route, Walk
from slicer_svc.slicing.workbench import (
    Site,
    Workbench,
    bias_by_output,
    kept_columns,
    kept_places,
    rows_of,
)

Weights = NDArray[np.float64]
"""One weight per sample of an `Original`, `(n,)`."""

Grams = Mapping[tuple[str, str], NDArray[np.float64]]
"""By node and group: Σ w·a·aᵀ of the group's units as that node reads them, `(u, u)`."""


def measure_grams(original: Original, weights: Weights) -> Grams:
    """Gram matrices of all units at all of their consumers, and where a node reads its own states.

    Args:
        original: What the model computes on the samples.
        weights: How much each sample counts.

    Returns:
        One matrix per site or recurrence and group.
    """
    grams: dict[tuple[str, str], NDArray[np.float64]] = {}
    for site in original.network.sites:
        for group, consumer in site.reads.items():
            grams[site.node, group] = _summed(
                _gram(_units(values.read, consumer.positions), part)
                for values, part in zip(original.at(site), _parts(original, weights), strict=True)
            )
    for unit_group in original.network.groups:
        for recurrence in unit_group.recurrences:
            grams[recurrence.key, unit_group.id] = _state_gram(original, weights, recurrence)
    return grams


def slice_closed_form(
    original: Original,
    weights: Weights,
    kept: Mapping[str, Units],
    adaptation: SiteAdaptation,
    step: Step,
) -> Sliced:
    """Cuts a model to its kept units and adapts every consumer, from the front to the back.

    Asymmetric: the regressors are activations of the network as already sliced, the targets those
    of the original, so that a layer also makes up for the errors of the ones before it. What a
    recurrent node reads of itself is repaired from the original's states alone.

    Args:
        original: What the model computes on the samples.
        weights: How much each sample counts, class-weighted.
        kept: Kept units by group.
        adaptation: What every consumer of cut units does about the dropped ones.
        step: Told each site.

    Returns:
        The sliced model.
    """
    network = original.network
    cuts = _cuts(original, weights, kept, repaired=adaptation.reads_units)
    bench = Workbench(cut_all(network.model, cuts))
    bench.view.to(original.device)
    walk = Walk(bench.view, Route(bench.model), original.batches)
    units = {group.id: group.units for group in network.groups}
    parts = _parts(original, weights)
    found: AdaptedSite | None = None
    last: Mapping[str, NDArray[np.float64]] = {}
    for site in network.sites:
        columns = kept_columns(network.groups, site, original.outputs(site), kept)
        if found is not None or any(len(kept[group]) < units[group] for group in site.reads):
            fit = SiteFit(original, site, kept, columns, adaptation)
            now = walk.advance(bench.place(site.node), [site.value])
            for values, after, part in zip(original.at(site), now, parts, strict=True):
                fit.add(values, after[site.value], part)
            found = fit.adapted()
            bench.change(site.node, found.weight, found.shift)
            if site.node == network.classifier.node:
                last = found.repairs
        step(site.node)
    return Sliced(model=bench.model, kept=kept, repairs=last)


def _parts(original: Original, weights: Weights) -> list[Tensor]:
    """The weights of each minibatch."""
    counts = [len(batch.weights) for batch in original.batches]
    return list(torch.from_numpy(weights).split(counts))


def _cuts(
    original: Original, weights: Weights, kept: Mapping[str, Units], *, repaired: bool
) -> list[tuple[UnitGroup, Cut]]:
    """What is cut of each group, with what recurrent nodes need to know of themselves."""
    groups = {group.id: group for group in original.network.groups}
    recurrent: dict[str, dict[str, Repair]] = {group: {} for group in groups}
    for group in groups.values():
        for recurrence in group.recurrences if repaired else ():
            gram = _state_gram(original, weights, recurrence)
            chosen = kept[group.id]
            repair = fit_repair(gram[np.ix_(chosen, chosen)], gram[chosen], chosen)
            recurrent[group.id][recurrence.node] = Repair(repair)
    return [
        (group, Cut(kept[group.id], recurrent=recurrent[group.id]))
        for group in groups.values()
        if len(kept[group.id]) < group.units
    ]


def _state_gram(
    original: Original, weights: Weights, recurrence: Recurrence
) -> NDArray[np.float64]:
    """Σ w·h·hᵀ of a recurrent node's states, `(u, u)`."""
    states = zip(original.states(recurrence.node), _parts(original, weights), strict=True)
    return _summed(_gram(_units(rows, recurrence.positions), part) for rows, part in states)


def _summed(grams: Iterable[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Their sum, with no more than two of them at hand."""
    total = np.zeros(())
    for gram in grams:
        total = np.add(total, gram, out=total if total.shape == gram.shape else None)
    return total


def _units(rows: Tensor, positions: Units) -> Tensor:
    """Rows of places as rows of units: `(rows · block, units)`."""
    units, block = positions.shape
    if block == 1:
        return rows[:, torch.from_numpy(np.array(positions[:, 0]))]
    return rows[:, torch.from_numpy(np.array(positions.T))].reshape(-1, units)


def _gram(rows: Tensor, weights: Tensor) -> NDArray[np.float64]:
    """Σ w·a·aᵀ in double precision: the selection looks at what is left of small differences."""
    exact = rows.double()
    per_row = weights.to(rows.device).repeat_interleave(len(rows) // len(weights))
    return np.asarray((exact.T @ (exact * per_row[:, None])).cpu().numpy())


def regression_at(
    original: Original, site: Site, width: int, columns: Units, *, rectified: bool
) -> Regression | RectifiedRegression:
    """What a site's node is refitted by.

    Args:
        original: What the model computes on the samples.
        site: The site.
        width: Rows of the node's matrix that are left.
        columns: Its outputs that are left, sorted.
        rectified: Whether errors that a rectifier behind it hides count for nothing.
    """
    count = sum(len(values.made) for values in original.at(site))
    floor = floor_behind(original.network.model, site.node) if rectified else None
    if floor is None:
        return Regression(count, width)
    return RectifiedRegression(count, width, torch.from_numpy(floor[columns]))


class SiteFit:
    """Gathers what an adaptation reads of one site, and asks it for the new matrix.

    Args:
        original: What the model computes on the samples.
        site: The site.
        kept: Kept units by group.
        columns: Outputs of its node that are left, sorted.
        adaptation: What it does about the dropped units.
    """

    def __init__(
        self,
        original: Original,
        site: Site,
        kept: Mapping[str, Units],
        columns: Units,
        adaptation: SiteAdaptation,
    ) -> None:
        model = original.network.model
        weight = weight_matrix(model, site.node)[0].astype(np.float64)
        places = kept_places(site, kept)
        self._adaptation = adaptation
        self._site = site
        self._model = model
        self._places = {
            group: np.searchsorted(places, consumer.positions[kept[group]])
            for group, consumer in site.reads.items()
        }
        units = {group: Moments() for group in site.reads if adaptation.reads_units}
        rows = rows_of(places, site, len(weight))
        kernel: Regression | RectifiedRegression | None = None
        if adaptation.reads_patches:
            rectified = adaptation.rectified
            kernel = regression_at(original, site, len(rows), columns, rectified=rectified)
        self._columns = torch.from_numpy(columns)
        self._cut = CutSite(
            site=site,
            weight=weight,
            # A bias that is one number for all outputs stays as it is: no fragment grows.
            affine=bias_by_output(model, site, weight.shape[1]),
            kept=kept,
            rows=rows,
            columns=columns,
            units=units,
            kernel=kernel,
        )

    def add(self, values: SiteValues, after: Tensor, weights: Tensor) -> None:
        """Adds a minibatch of what the node reads in the original and in the sliced network."""
        site = self._site
        if self._cut.units:
            now = rows_at(after, site, len(weights), values.read_at)
            for group, moments in self._cut.units.items():
                consumer = site.reads[group]
                regressors = _units(now, self._places[group])
                moments.add(regressors, _units(values.read, consumer.positions), weights)
        if self._cut.kernel is not None:
            rows = patches(self._model, site.node, apart(after, site, len(weights)), values.made_at)
            self._cut.kernel.add(rows, values.made[:, self._columns], weights)

    def adapted(self) -> AdaptedSite:
        """The node's new matrix, what its bias grows by, and its repairs."""
        return self._adaptation.adapt(self._cut)
