"""Sweeps over a network's consumers other than the library's one from the front to the back."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from onnxgraph.linear import patches, weight_matrix
from onnxgraph.surgery import Cut, cut_all
from onnxgraph.view import TorchView
from slicer_svc.slicing.adaptations.site import SiteAdaptation
from slicer_svc.slicing.closed_form import SiteFit, Weights, regression_at
from slicer_svc.slicing.original import Original, apart
from slicer_svc.slicing.rectified import RectifiedRegression
from slicer_svc.slicing.repairs import Units
from slicer_svc.slicing.ridge import Regression
from slicer_svc.slicing.sliced import Sliced
from slicer_svc.slicing.walk import Route, Walk
from slicer_svc.slicing.workbench import (
    Site,
    Workbench,
    bias_by_output,
    kept_columns,
    kept_places,
)


def slice_symmetric(
    original: Original, weights: Weights, kept: Mapping[str, Units], adaptation: SiteAdaptation
) -> Sliced:
    """Adapts every consumer to the original's own kept activations.

    What `slice_closed_form` does with regressors of the network as already sliced; here no layer
    makes up for the errors of the ones before it. For networks without recurrent nodes.

    Args:
        original: What the model computes on the views.
        weights: How much each view counts.
        kept: Kept units by group.
        adaptation: What every consumer of cut units does about the dropped ones.
    """
    network = original.network
    units = {group.id: group.units for group in network.groups}
    cut = [group for group in network.groups if len(kept[group.id]) < group.units]
    bench = Workbench(cut_all(network.model, [(group, Cut(kept[group.id])) for group in cut]))
    walk = Walk(TorchView(network.model), network.route, original.batches)
    repairs: Mapping[str, NDArray[np.float64]] = {}
    for site in network.sites:
        if all(len(kept[group]) == units[group] for group in site.reads):
            continue
        columns = kept_columns(network.groups, site, original.outputs(site), kept)
        fit = SiteFit(original, site, kept, columns, adaptation)
        places = torch.from_numpy(kept_places(site, kept))
        now = walk.advance(site.place, [site.value])
        for values, read, part in zip(
            original.at(site), now, _parts(original, weights), strict=True
        ):
            fit.add(values, read[site.value].index_select(site.axis, places), part)
        found = fit.adapted()
        bench.change(site.node, found.weight, found.shift)
        if site.node == network.classifier.node:
            repairs = found.repairs
    return Sliced(bench.model, kept, repairs)


def swept_again(original: Original, weights: Weights, sliced: Sliced, ridge: float) -> Sliced:
    """Refits every consumer once more, from the front to the back, about what it is now.

    The first sweep's ridge pulls to the folded repair, this one's to the first sweep's kernel
    (iterated Tikhonov regularisation); its regressors have this sweep's smaller errors.

    Args:
        original: What the model computes on the views.
        weights: How much each view counts.
        sliced: The network after a sweep.
        ridge: λ as a share of the patches' mean energy.
    """
    network = original.network
    bench = Workbench(sliced.model)
    walk = Walk(bench.view, Route(bench.model), original.batches)
    units = {group.id: group.units for group in network.groups}
    begun = False
    for site in network.sites:
        begun = begun or any(len(sliced.kept[group]) < units[group] for group in site.reads)
        if not begun:
            continue
        now = [values[site.value] for values in walk.advance(bench.place(site.node), [site.value])]
        columns = kept_columns(network.groups, site, original.outputs(site), sliced.kept)
        regression = _gathered(original, weights, bench, site, (now, columns))
        centre, bias = bench.matrix(site.node)
        affine = bias_by_output(network.model, site, original.outputs(site))
        weight, shift = regression.solve(centre, ridge, affine=affine)
        before = weight_matrix(network.model, site.node)[1]
        if shift is not None and before is not None:
            bias = before[columns] + shift
        bench.set_matrix(site.node, weight, bias)
    return Sliced(bench.model, sliced.kept, sliced.repairs)


def _gathered(
    original: Original,
    weights: Weights,
    bench: Workbench,
    site: Site,
    now: tuple[list[Tensor], Units],
) -> Regression | RectifiedRegression:
    """Patches of the network as it is against the original's kept outputs."""
    read, columns = now
    kept = torch.from_numpy(columns)
    found = regression_at(original, site, len(bench.matrix(site.node)[0]), columns, rectified=True)
    parts = _parts(original, weights)
    for values, value, part in zip(original.at(site), read, parts, strict=True):
        seen = patches(bench.model, site.node, apart(value, site, len(part)), values.made_at)
        found.add(seen, values.made[:, kept], part)
    return found


def _parts(original: Original, weights: Weights) -> list[Tensor]:
    """The weights of each minibatch."""
    counts = [len(batch.weights) for batch in original.batches]
    return list(torch.from_numpy(weights).split(counts))
