"""Slicing one class after the other, or several together, by a recipe's method.

What all classes share is measured once.
"""

from collections.abc import Mapping
from functools import cache, cached_property

import numpy as np

from onnxgraph.view import TorchView
from slicer_svc.slicing.adaptations.table import ADAPTATIONS
from slicer_svc.slicing.class_data import ClassCase
from slicer_svc.slicing.closed_form import measure_grams, slice_closed_form
from slicer_svc.slicing.criteria.activity import Activity, measure_activity
from slicer_svc.slicing.criteria.evidence import Evidence, Matrices, metrics_of
from slicer_svc.slicing.criteria.table import choose_units
from slicer_svc.slicing.network import Network
from slicer_svc.slicing.original import Original
from slicer_svc.slicing.progress import Step
from slicer_svc.slicing.recipe import Method, Recipe
from slicer_svc.slicing.samples import Samples, class_weights
from slicer_svc.slicing.sliced import Sliced
from slicer_svc.slicing.trained import slice_trained
from slicer_svc.slicing.walk import minibatches


def steps_per_class(network: Network, recipe: Recipe) -> int:
    """How often `step` is told for one class."""
    if recipe.method is Method.CLOSED_FORM:
        return ADAPTATIONS[recipe.adaptation].steps(network)
    return len(network.groups)


class ClassSlicer:
    """Slices the classes of one model.

    Args:
        network: The model.
        view: A view of it, on the device where all work is done.
        views: All views of its samples, and of others without a label.
        recipe: The method and its settings.
        counts: Units to keep, by group.
    """

    def __init__(
        self,
        network: Network,
        view: TorchView,
        views: Samples,
        recipe: Recipe,
        counts: Mapping[str, int],
    ) -> None:
        self._network = network
        self._view = view
        self._views = views
        self._recipe = recipe
        self._counts = counts

    def slice(self, classes: tuple[int, ...], step: Step) -> Sliced:
        """What is left of the model for one class, or for several together.

        Args:
            classes: The classes, rising; each has a sample.
            step: Told each site or group that is finished.
        """
        case = ClassCase(self._network, self._view, self._labelled, classes, self._recipe)
        if self._recipe.method is not Method.CLOSED_FORM:
            return slice_trained(case, self._counts, step)
        weights = class_weights(self._views.labels, classes)
        evidence = Evidence(
            case=case,
            grams=cache(lambda: measure_grams(self._original, weights)),
            metrics=lambda: self._metrics,
            activity=lambda: self._activity,
        )
        path = ADAPTATIONS[self._recipe.adaptation]
        kept = choose_units(evidence, self._counts)
        sliced = slice_closed_form(self._original, weights, kept, path.site, step)
        return sliced if path.finish is None else path.finish(case, sliced, step)

    @cached_property
    def _labelled(self) -> Samples:
        return self._views.labelled

    @cached_property
    def _original(self) -> Original:
        batches = minibatches(self._views, np.ones(len(self._views)))
        return Original.of(self._network, self._view, batches, lambda _: None)

    @cached_property
    def _metrics(self) -> Matrices:
        return metrics_of(self._network)

    @cached_property
    def _activity(self) -> Activity:
        return measure_activity(self._network, self._view, self._labelled)
