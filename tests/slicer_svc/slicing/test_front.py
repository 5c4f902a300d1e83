"""What plans of several sizes are predicted to come to, against the plans themselves."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from slicer_svc.slicing.augmentation import Augmentation
from slicer_svc.slicing.errors import SlicingError
from slicer_svc.slicing.fragments import slice_classes
from slicer_svc.slicing.front import FrontPoint, predict_front
from slicer_svc.slicing.measurements import Measurements, measure
from slicer_svc.slicing.network import Network
from slicer_svc.slicing.planner import plan_measured
from slicer_svc.slicing.progress import ignore
from slicer_svc.slicing.recipe import Recipe
from slicer_svc.slicing.samples import Samples
from tests.helpers.small_classifiers import CHAIN, model_of

NETWORK = Network.of(model_of(CHAIN))
SIZES = (0.9, 0.3, 0.5, 0.3, 1e-6)


def samples() -> Samples:
    graph_input = NETWORK.model.graph.inputs[0]
    shape = [size for size in list(graph_input.shape or ())[1:] if isinstance(size, int)]
    values = np.random.default_rng(0).normal(size=(24, *shape)).astype(np.float32)
    return Samples({str(graph_input.name): values}, np.arange(24, dtype=np.int64) % 3)


def measured(recipe: Recipe) -> Measurements:
    nothing = Measurements(None, None)
    return measure(NETWORK, samples(), recipe, augment=Augmentation(), known=nothing, report=ignore)


def front(recipe: Recipe) -> tuple[FrontPoint, ...]:
    return predict_front(NETWORK, measured(recipe), recipe, SIZES)


@pytest.mark.parametrize(
    "recipe", [Recipe(budget_params=1.0, views=1), Recipe(budget_macs=1.0, views=1)]
)
def test_a_point_is_what_the_plan_of_its_size_says(recipe: Recipe) -> None:
    known = measured(recipe)
    points = predict_front(NETWORK, known, recipe, SIZES)
    assert [point.size for point in points][1:] == [0.3, 0.5, 0.9]
    for point in points:
        plan = plan_measured(NETWORK, samples(), recipe.with_budget(point.size), known)
        assert (plan.parameters_after, plan.macs_after) == (point.parameters, point.macs)
        assert plan.predicted_error == pytest.approx(point.predicted_error)
        assert point.latency_ms == 0


def test_the_first_point_is_the_smallest_plan() -> None:
    recipe = Recipe(budget_macs=1.0, views=1)
    known = measured(recipe)
    least = predict_front(NETWORK, known, recipe, ())[0]
    smaller = Recipe(budget_macs=least.size - 2e-6, views=1)
    with pytest.raises(SlicingError):
        plan_measured(NETWORK, samples(), smaller, known)


def test_a_larger_plan_costs_more_and_errs_less() -> None:
    points = front(Recipe(budget_macs=1.0, views=1))
    for small, large in pairwise(points):
        assert small.macs < large.macs
        assert small.predicted_error >= large.predicted_error


def test_the_widths_of_features_are_those_of_fragments() -> None:
    recipe = Recipe(budget_macs=1.0, views=1)
    known = measured(recipe)
    for point in predict_front(NETWORK, known, recipe, (0.4,)):
        plan = plan_measured(NETWORK, samples(), Recipe(budget_macs=point.size, views=1), known)
        [fragment] = slice_classes(NETWORK.model, samples(), plan, [0], augment=Augmentation())
        assert fragment.feature_width == point.feature_width
        assert (fragment.cost.parameters, fragment.cost.macs) == (point.parameters, point.macs)


def test_times_are_told_where_time_is_bought() -> None:
    points = front(Recipe(budget_latency=1.0, views=1))
    assert all(point.latency_ms > 0 for point in points)


def test_points_are_in_the_blocks_that_the_recipe_names() -> None:
    free = front(Recipe(budget_params=1.0, views=1))[0]
    blocked = front(Recipe(budget_params=1.0, block=4, views=1))[0]
    assert free.size < blocked.size
    assert free.parameters < blocked.parameters
