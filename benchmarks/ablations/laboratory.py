"""What the variants of one draw share: samples, and what the originals compute on their views."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from benchmarks.ablations.fitting import (
    fitting_weights,
    mixed_pictures,
)
from benchmarks.ablations.variant import Extra, Variant
from benchmarks.paper.bench import Bench
from benchmarks.paper.experiment import seen_samples
from benchmarks.paper.samples import Draw
from onnxgraph.view import TorchView
from slicer_svc.slicing.closed_form import Grams, measure_grams
from slicer_svc.slicing.criteria.evidence import Matrices, metrics_of
from slicer_svc.slicing.curves import CurveSamples, measure_curves
from slicer_svc.slicing.measurements import CURVE_VIEWS
from slicer_svc.slicing.network import Network
from slicer_svc.slicing.original import Original, SiteValues
from slicer_svc.slicing.plan import Curve
from slicer_svc.slicing.samples import Samples, some_unlabelled, unlabelled
from slicer_svc.slicing.views import views_of
from slicer_svc.slicing.walk import minibatches

ORIGINALS = 8
"""Values of origins on views that are kept at once: those of the default and of one variant."""


@dataclass(frozen=True)
class Sight:
    """Which views of an origin's samples are looked at, and where.

    Attributes:
        place: The origin's place in the task.
        views: Views of every sample.
        extra: Unlabelled pictures beside them.
        positions: Positions of a sample, at most.
    """

    place: int
    views: int
    extra: Extra
    positions: int


@dataclass(frozen=True)
class CurveKey:
    """What curves depend on.

    Attributes:
        sight: What repairs are fitted on.
        extra_share: The share of unlabelled pictures in all weight.
        on_views: Whether features are compared on the views.
        target: The class that counts twice all others; None where all count the same.
    """

    sight: Sight
    extra_share: float
    on_views: bool
    target: int | None


def sight_of(variant: Variant, place: int) -> Sight:
    """What a variant looks at of an origin."""
    return Sight(place, variant.views, variant.extra, variant.positions)


class Laboratory:
    """One draw of samples; whatever several variants ask for is computed once.

    Args:
        bench: Data and origins.
        number: Which draw.
    """

    def __init__(self, bench: Bench, number: int) -> None:
        self.bench = bench
        self.draw = Draw(bench.corpus, bench.setting.k, bench.setting.seed, number)
        self.number = number
        self.networks: Mapping[int, Network] = {
            place: Network.of(bench.originals[place].model) for place in bench.task.wanted
        }
        self._views = {place: TorchView(network.model) for place, network in self.networks.items()}
        self.augmentation = bench.corpus.augmentation(bench.setting.arch)
        self.pictures = lru_cache(maxsize=ORIGINALS)(self._pictures)
        self.original = lru_cache(maxsize=ORIGINALS)(self._original)
        self.grams = lru_cache(maxsize=None)(self._grams)
        self.metrics = lru_cache(maxsize=None)(self._metrics)
        self.curves = lru_cache(maxsize=None)(self._curves)

    def view(self, place: int) -> TorchView:
        """What computes an origin."""
        return self._views[place]

    def samples(self, place: int) -> Samples:
        """An origin's k samples of each class."""
        classes = self.bench.originals[place].recipe.classes
        return self.draw.samples(classes, self.bench.input_name)

    def weights(self, sight: Sight, target: int | None, extra_share: float) -> NDArray[np.float64]:
        """How much every view counts for a class."""
        return fitting_weights(self.pictures(sight).labels, target, extra_share)

    def _pictures(self, sight: Sight) -> Samples:
        """All views that are looked at; unlabelled ones come last."""
        samples = self.samples(sight.place)
        if sight.extra is Extra.MARKET:
            samples = seen_samples(self.bench, self.draw, sight.place)
            rest = samples.take(some_unlabelled(samples.labels))
            samples = samples.labelled.joined(rest)
        views = views_of(samples, self.augmentation, sight.views, self.draw.seed)
        if sight.extra is not Extra.MIXED:
            return views
        ((name, _),) = samples.inputs.items()
        return views.joined(unlabelled({name: mixed_pictures(samples, self.draw.seed)}))

    def _original(self, sight: Sight) -> Original:
        whole = replace(sight, positions=Variant().positions)
        if whole != sight:
            return thinned(self.original(whole), sight.positions)
        pictures = self.pictures(sight)
        batches = minibatches(pictures, np.ones(len(pictures)))
        network = self.networks[sight.place]
        return Original.of(network, self.view(sight.place), batches, lambda _: None)

    def _grams(self, sight: Sight, target: int, extra_share: float) -> Grams:
        return measure_grams(self.original(sight), self.weights(sight, target, extra_share))

    def _metrics(self, place: int) -> Matrices:
        return metrics_of(self.networks[place])

    def _curves(self, key: CurveKey) -> tuple[Curve, ...]:
        sight = key.sight
        samples = self.samples(sight.place)
        # As many views as the library's own curves have.
        views = min(sight.views, max(1, CURVE_VIEWS // len(samples)))
        pictures = self.pictures(replace(sight, views=views))
        weights = fitting_weights(pictures.labels, key.target, key.extra_share)
        compared = pictures.labelled if key.on_views else samples
        test = fitting_weights(compared.labels, key.target, 0.0)
        measured = CurveSamples(minibatches(pictures, weights), minibatches(compared, test))
        return measure_curves(self.networks[sight.place], measured, lambda _: None)


def thinned(original: Original, positions: int) -> Original:
    """The same values at fewer positions of every sample, spread evenly.

    For networks without recurrent nodes.
    """
    values = {
        site.node: [_thinned(part, positions) for part in original.at(site)]
        for site in original.network.sites
    }
    return Original(original.network, original.batches, values, {})


def _thinned(values: SiteValues, positions: int) -> SiteValues:
    parts = []
    for rows, places in ((values.read, values.read_at), (values.made, values.made_at)):
        chosen = np.linspace(0, len(places) - 1, min(positions, len(places))).round()
        index = chosen.astype(np.int64)
        by_sample = rows.reshape(-1, len(places), rows.shape[1])
        parts.append((by_sample[:, index].reshape(-1, rows.shape[1]), places[index]))
    (read, read_at), (made, made_at) = parts
    return SiteValues(read, made, read_at, made_at)
