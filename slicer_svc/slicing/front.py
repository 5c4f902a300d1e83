"""The front of a model: what plans of several sizes would come to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from slicer_svc.slicing.costs import CostModel
from slicer_svc.slicing.latency.model import LatencyModel, latency_model
from slicer_svc.slicing.measurements import Measurements
from slicer_svc.slicing.network import Network
from slicer_svc.slicing.recipe import Recipe
from slicer_svc.slicing.spending import least_budget, spend_budget


@dataclass(frozen=True)
class FrontPoint:
    """What a plan of one size would come to, the same for every class.

    Attributes:
        size: The recipe's budget.
        parameters: Floating parameters of a fragment.
        macs: Its MACs per sample.
        feature_width: The width of its features.
        predicted_error: Sum of the groups' predicted errors.
        latency_ms: Its predicted time; 0 unless the recipe asks for times.
    """

    size: float
    parameters: int
    macs: int
    feature_width: int
    predicted_error: float
    latency_ms: float


def predict_front(
    network: Network, measured: Measurements, recipe: Recipe, sizes: Sequence[float]
) -> tuple[FrontPoint, ...]:
    """Predicts plans from what is measured; nothing is run.

    Args:
        network: The model.
        measured: Its curves, and its times where the recipe needs them.
        recipe: What plans are asked for; its budget says what is bought.
        sizes: Budgets in its place.

    Returns:
        By rising size: the smallest budget that can be kept to, then those asked for that can be.
    """
    assert measured.curves is not None
    costs = CostModel(network)
    latency = None
    if recipe.needs_latency:
        assert measured.latency is not None
        latency = latency_model(network, measured.latency)
    least = least_budget(network.groups, measured.curves, recipe, costs, latency)
    points = []
    for size in sorted({least, *(size for size in sizes if size > least)}):
        sized = recipe.with_budget(size)
        kept = spend_budget(network.groups, measured.curves, sized, costs, latency).kept
        price = costs.price(kept)
        points.append(
            FrontPoint(
                size=size,
                parameters=price.parameters,
                macs=price.macs,
                feature_width=_feature_width(network, kept),
                predicted_error=sum(curve.error(kept[curve.group]) for curve in measured.curves),
                latency_ms=0.0 if latency is None else _milliseconds(network, latency, kept),
            )
        )
    return tuple(points)


def _feature_width(network: Network, kept: Mapping[str, int]) -> int:
    """What is left of the features that the classifier reads."""
    whole = network.classifier
    site = next((one for one in network.sites if one.node == whole.node), None)
    if site is None:
        return whole.feature_width
    units = {group.id: group.units for group in network.groups}
    gone = sum(
        consumer.positions.size * (1 - kept[group] / units[group])
        for group, consumer in site.reads.items()
    )
    return round(whole.feature_width * (1 - gone / site.width))


def _milliseconds(network: Network, latency: LatencyModel, kept: Mapping[str, int]) -> float:
    counts = np.array([kept[group.id] for group in network.groups], dtype=np.int64)
    return latency.predicted_ms(counts)
