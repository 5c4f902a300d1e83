"""What a plan rests on: curves of every group, and times where they are asked for."""

from dataclasses import dataclass

from onnxgraph.cost import cost
from slicer_svc.slicing.augmentation import Augmentation
from slicer_svc.slicing.curves import GRAIN, CurveSamples, measure_curves
from slicer_svc.slicing.latency.machine import machine_name
from slicer_svc.slicing.latency.measure import measure_latency
from slicer_svc.slicing.latency.table import LatencyTable
from slicer_svc.slicing.network import Network
from slicer_svc.slicing.plan import Curve
from slicer_svc.slicing.progress import Progress, Report
from slicer_svc.slicing.recipe import Recipe
from slicer_svc.slicing.samples import Samples, balanced_weights, some_unlabelled, spread
from slicer_svc.slicing.views import views_of
from slicer_svc.slicing.walk import minibatches

CURVE_SAMPLES = 256
"""Samples, views left out, that curves are measured on at most, spread over the classes."""

CURVE_VIEWS = 512
"""Labelled views that repairs of curves are fitted on at most."""

CURVE_MACS = 4e12
"""Multiply-accumulates that comparing features may take: about half a minute on two cores."""

FEWEST = 32
"""Samples whose features are compared all the same, where a model has that many."""


@dataclass(frozen=True)
class Measurements:
    """Measurements of one model, kept with it; None for what is not measured.

    Attributes:
        curves: One per group, in the groups' order.
        latency: Times on one machine.
    """

    curves: tuple[Curve, ...] | None
    latency: LatencyTable | None


def measure(
    network: Network,
    samples: Samples,
    recipe: Recipe,
    *,
    augment: Augmentation,
    known: Measurements,
    report: Report,
) -> Measurements:
    """Measures what a recipe needs and is not known.

    Args:
        network: The model.
        samples: Its samples.
        recipe: What is asked for.
        augment: Which views its inputs allow.
        known: Earlier measurements; times of another machine count for nothing.
        report: Told about every step.

    Returns:
        All measurements that the recipe needs, with the known ones.
    """
    curves, latency = known.curves, known.latency
    if curves is None:
        curves = _curves(network, samples, recipe, augment, report)
    if latency is not None and latency.machine != machine_name():
        latency = None
    if latency is None and recipe.needs_latency:
        latency = measure_latency(network, samples, report)
    return Measurements(curves, latency)


def _curves(
    network: Network, samples: Samples, recipe: Recipe, augment: Augmentation, report: Report
) -> tuple[Curve, ...]:
    known = samples.labelled
    few = known.take(spread(known.labels, CURVE_SAMPLES))
    views = min(recipe.views, max(1, CURVE_VIEWS // len(few)))
    others = some_unlabelled(samples.labels)
    pool = few.joined(samples.take(others)) if others.size else few
    fit = views_of(pool, augment, views, recipe.seed)
    test = few.take(spread(few.labels, _compared(network)))
    measured = CurveSamples(
        fit=minibatches(fit, balanced_weights(fit.labels)),
        test=minibatches(test, balanced_weights(test.labels)),
    )
    total = len(network.sites) + len(network.groups)
    finished: list[str] = []

    def step(layer: str) -> None:
        finished.append(layer)
        phase = "measure" if len(finished) <= len(network.sites) else "curves"
        report(Progress(phase, None, layer, len(finished), total))

    return measure_curves(network, measured, step)


def _compared(network: Network) -> int:
    """Samples whose features `CURVE_MACS` allow to compare.

    A point of a curve computes what is behind its group: on average half of the model.
    """
    points = GRAIN * len(network.groups)
    return max(FEWEST, int(CURVE_MACS / max(1.0, points * cost(network.model).macs / 2)))
