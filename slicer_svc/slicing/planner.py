"""Making a plan: by rate, by threshold, or by budget."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import onnx_ir as ir
from torch import Tensor

from onnxgraph.view import TorchView
from slicer_svc.slicing.activations import mean_activations
from slicer_svc.slicing.augmentation import Augmentation
from slicer_svc.slicing.costs import CostModel
from slicer_svc.slicing.errors import invalid_field
from slicer_svc.slicing.latency.model import LatencyModel, latency_model
from slicer_svc.slicing.measurements import Measurements, measure
from slicer_svc.slicing.network import Network
from slicer_svc.slicing.plan import Curve, GroupPlan, KeptWhole, Latency, Plan
from slicer_svc.slicing.progress import Report, ignore
from slicer_svc.slicing.recipe import THRESHOLDS, Method, Recipe
from slicer_svc.slicing.samples import Samples
from slicer_svc.slicing.selection import (
    kept_count,
    select_by_plain_threshold,
    select_by_threshold,
)
from slicer_svc.slicing.spending import Spent, spend_budget
from slicer_svc.slicing.walk import minibatches


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
        samples: Its samples, and perhaps others without a label.
        recipe: What is asked for.
        augment: Which views its inputs allow.
        curves: Curves of an earlier plan of this model; measured where left out. Times are always
            measured where the recipe needs them: whoever keeps them calls `measure` and
            `plan_measured`.
        report: Told about every node and group that is measured.

    Returns:
        The plan.

    Raises:
        GraphError: GRAPH_NO_LINEAR_CLASSIFIER.
        SlicingError: GRAPH_NO_SLICEABLE_UNIT, BUDGET_UNREACHABLE, or FIELD_INVALID for curves of
            another model.
    """
    network = Network.of(model)
    known = Measurements(None if curves is None else tuple(curves), None)
    measured = measure(network, samples, recipe, augment=augment, known=known, report=report)
    return plan_measured(network, samples, recipe, measured)


def plan_measured(
    network: Network, samples: Samples, recipe: Recipe, measured: Measurements
) -> Plan:
    """Plans from what is measured; nothing is run but for the thresholds of Eq. 5.

    Args:
        network: The model.
        samples: Its samples.
        recipe: What is asked for.
        measured: Its curves, and its times where the recipe needs them.

    Returns:
        The plan.

    Raises:
        SlicingError: BUDGET_UNREACHABLE, or FIELD_INVALID for measurements of another model.
    """
    assert measured.curves is not None
    _check_curves(network, measured.curves)
    costs = CostModel(network)
    latency = None
    if recipe.needs_latency:
        assert measured.latency is not None
        latency = latency_model(network, measured.latency)
    if recipe.has_budget:
        spent = spend_budget(network.groups, measured.curves, recipe, costs, latency)
    else:
        spent = _without_budget(network, samples, recipe)
    plan = _plan(network, recipe, spent, costs, measured.curves)
    if latency is None or measured.latency is None:
        return plan
    told = _latency(network, latency, spent.kept, measured.latency.machine)
    return replace(plan, latency=told)


def _check_curves(network: Network, curves: Sequence[Curve]) -> None:
    expected = [(group.id, group.units) for group in network.groups]
    if [(curve.group, curve.units) for curve in curves] != expected:
        raise invalid_field("curves", "they are of another model", "Leave them out.")


def _without_budget(network: Network, samples: Samples, recipe: Recipe) -> Spent:
    """What β keeps, by rate or by threshold: to the unit, as the paper has it."""
    if recipe.method in THRESHOLDS:
        kept = _by_threshold(network, samples, recipe)
    else:
        kept = {group.id: kept_count(group.units, recipe.share) for group in network.groups}
    return Spent(kept, dict.fromkeys(kept, 1))


def _latency(
    network: Network, model: LatencyModel, kept: Mapping[str, int], machine: str
) -> Latency:
    counts = np.array([kept[group.id] for group in network.groups], dtype=np.int64)
    return Latency(machine, model.whole_ms, model.predicted_ms(counts))


def _by_threshold(network: Network, samples: Samples, recipe: Recipe) -> dict[str, int]:
    """What Eq. 5 keeps per group, on average over the classes, before any pooling."""
    fitted = recipe.method is Method.THRESHOLD
    select = select_by_threshold if fitted else select_by_plain_threshold
    view = TorchView(network.model)
    samples = samples.labelled

    def run(inputs: Mapping[str, Tensor], fetch: Sequence[str]) -> Mapping[str, Tensor]:
        return view.run(inputs, fetch=fetch)

    counts: dict[str, list[int]] = {group.id: [] for group in network.groups}
    for label in np.unique(samples.labels):
        members = samples.take(np.flatnonzero(samples.labels == label).astype(np.int64))
        batches = minibatches(members, np.ones(len(members)))
        for group, activation in mean_activations(run, network.groups, batches).items():
            counts[group].append(len(select(activation, recipe.share)))
    return {group: int(np.ceil(np.mean(found))) for group, found in counts.items()}


def _plan(
    network: Network,
    recipe: Recipe,
    spent: Spent,
    costs: CostModel,
    curves: tuple[Curve, ...],
) -> Plan:
    whole = {group.id: group.units for group in network.groups}
    kept = spent.kept
    groups = []
    for group, curve in zip(network.groups, curves, strict=True):
        before, after = costs.group_price(group, whole), costs.group_price(group, kept)
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
                grain=spent.grains[group.id],
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
