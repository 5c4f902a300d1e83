"""Making a plan: by rate, by threshold, or by budget."""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir
from torch import Tensor

from onnxgraph.view import TorchView
from slicer_svc.slicing.activations import mean_activations
from slicer_svc.slicing.augmentation import Augmentation, augmented
from slicer_svc.slicing.budget import MACS_EXPONENT, PARAMETERS_EXPONENT, spend
from slicer_svc.slicing.costs import CostModel
from slicer_svc.slicing.curves import CurveSamples, measure_curves
from slicer_svc.slicing.errors import invalid_field
from slicer_svc.slicing.network import Network
from slicer_svc.slicing.plan import Curve, GroupPlan, KeptWhole, Plan
from slicer_svc.slicing.progress import Progress, Report, ignore
from slicer_svc.slicing.recipe import THRESHOLDS, Recipe
from slicer_svc.slicing.samples import Samples, balanced_weights
from slicer_svc.slicing.selection import kept_count, select_by_threshold
from slicer_svc.slicing.walk import minibatches

CURVE_SAMPLES = 256
"""Samples, views left out, that curves are measured on at most, spread over the classes."""


def make_plan(
    model: ir.Model,
    samples: Samples,
    recipe: Recipe,
    *,
    augment: Augmentation,
    curves: Sequence[Curve] | None = None,
    report: Report = ignore,
) -> Plan:
    """Plans how many units of every group stay, the same for all classes.

    Args:
        model: A normalised model.
        samples: Its samples.
        recipe: What is asked for.
        augment: Which views its inputs allow.
        curves: Curves of an earlier plan of this model; measured where left out.
        report: Told about every node and group that is measured.

    Returns:
        The plan.

    Raises:
        GraphError: GRAPH_NO_LINEAR_CLASSIFIER.
        SlicingError: GRAPH_NO_SLICEABLE_UNIT, BUDGET_UNREACHABLE, or FIELD_INVALID for curves of
            another model.
    """
    network = Network.of(model)
    if curves is None:
        curves = _measured(network, samples, recipe, augment, report)
    _check_curves(network, curves)
    costs = CostModel(network)
    if recipe.has_budget:
        kept = _by_budget(curves, costs, recipe)
    elif recipe.method in THRESHOLDS:
        kept = _by_threshold(network, samples, recipe.share)
    else:
        kept = {group.id: kept_count(group.units, recipe.share) for group in network.groups}
    return _plan(network, recipe, kept, costs, tuple(curves))


def _measured(
    network: Network, samples: Samples, recipe: Recipe, augment: Augmentation, report: Report
) -> tuple[Curve, ...]:
    few = samples.take(_spread(samples, CURVE_SAMPLES))
    views = augmented(few, augment, recipe.views, recipe.seed)
    measured = CurveSamples(
        fit=minibatches(views, balanced_weights(views.labels)),
        test=minibatches(few, balanced_weights(few.labels)),
    )
    total = len(network.sites) + len(network.groups)
    finished: list[str] = []

    def step(layer: str) -> None:
        finished.append(layer)
        phase = "measure" if len(finished) <= len(network.sites) else "curves"
        report(Progress(phase, None, layer, len(finished), total))

    return measure_curves(network, measured, step)


def _spread(samples: Samples, most: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Places of at most `most` samples: the first of every class, then the second, and so on."""
    rank = np.zeros(len(samples), dtype=np.int64)
    for label in np.unique(samples.labels):
        inside = np.flatnonzero(samples.labels == label)
        rank[inside] = np.arange(len(inside))
    return np.sort(np.argsort(rank, kind="stable")[:most])


def _check_curves(network: Network, curves: Sequence[Curve]) -> None:
    expected = [(group.id, group.units) for group in network.groups]
    if [(curve.group, curve.units) for curve in curves] != expected:
        raise invalid_field("curves", "they are of another model", "Leave them out.")


def _by_budget(curves: Sequence[Curve], costs: CostModel, recipe: Recipe) -> dict[str, int]:
    whole = costs.price({curve.group: curve.units for curve in curves})
    if recipe.budget_params is not None:
        return spend(
            curves,
            lambda kept: costs.price(kept).parameters / whole.parameters,
            recipe.budget_params,
            PARAMETERS_EXPONENT,
        )
    assert recipe.budget_macs is not None
    return spend(
        curves,
        lambda kept: costs.price(kept).macs / whole.macs,
        recipe.budget_macs,
        MACS_EXPONENT,
    )


def _by_threshold(network: Network, samples: Samples, beta: float) -> dict[str, int]:
    """What Eq. 5 keeps per group, on average over the classes, before any pooling."""
    view = TorchView(network.model)

    def run(inputs: Mapping[str, Tensor], fetch: Sequence[str]) -> Mapping[str, Tensor]:
        return view.run(inputs, fetch=fetch)

    counts: dict[str, list[int]] = {group.id: [] for group in network.groups}
    for label in np.unique(samples.labels):
        members = samples.take(np.flatnonzero(samples.labels == label).astype(np.int64))
        batches = minibatches(members, np.ones(len(members)))
        for group, activation in mean_activations(run, network.groups, batches).items():
            counts[group].append(len(select_by_threshold(activation, beta)))
    return {group: int(np.ceil(np.mean(found))) for group, found in counts.items()}


def _plan(
    network: Network,
    recipe: Recipe,
    kept: Mapping[str, int],
    costs: CostModel,
    curves: tuple[Curve, ...],
) -> Plan:
    whole = {group.id: group.units for group in network.groups}
    groups = []
    for group, curve in zip(network.groups, curves, strict=True):
        before = costs.price(whole, group.producers)
        after = costs.price(kept, group.producers)
        groups.append(
            GroupPlan(
                group=group.id,
                nodes=group.producers,
                units=group.units,
                kept=kept[group.id],
                parameters_before=before.parameters,
                parameters_after=after.parameters,
                macs_before=before.macs,
                macs_after=after.macs,
                bytes_before=before.bytes,
                bytes_after=after.bytes,
                predicted_error=curve.error(kept[group.id]),
            )
        )
    before, after = costs.price(whole), costs.price(kept)
    return Plan(
        recipe=recipe,
        groups=tuple(groups),
        whole=tuple(KeptWhole(part.nodes, part.reason) for part in network.whole),
        parameters_before=before.parameters,
        parameters_after=after.parameters,
        macs_before=before.macs,
        macs_after=after.macs,
        bytes_before=before.bytes,
        bytes_after=after.bytes,
        predicted_error=sum(group.predicted_error for group in groups),
        curves=curves,
    )
