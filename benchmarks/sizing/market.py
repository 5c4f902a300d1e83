"""Origins of several architectures, and fragments of any size of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from sliceandpack.slicer.v1.plans_pb2 import FrontPoint

from benchmarks.paper.corpus import Corpus
from benchmarks.paper.originals import Original, OriginRequest, prepare_origins
from benchmarks.paper.progress import Progress
from benchmarks.paper.samples import Draw
from benchmarks.paper.slices import Sliceable, planned, told
from benchmarks.paper.tasks import TASKS, Source
from onnxgraph.serialise import to_bytes
from packer_svc.sizing import BudgetKind
from slicer_svc.slicing.fragments import slice_jointly
from slicer_svc.slicing.front import predict_front
from slicer_svc.slicing.measurements import Measurements
from slicer_svc.slicing.network import Network
from slicer_svc.slicing.plan import Plan
from slicer_svc.slicing.planner import make_plan
from slicer_svc.slicing.recipe import Recipe
from slicer_svc.slicing.samples import unlabelled

INPUT = "image"
TASK = TASKS["T1"]
"""Three origins of three classes each."""


@dataclass(frozen=True)
class Kind:
    """What an origin is.

    Attributes:
        arch: Its architecture.
        width: Factor on its channels.
    """

    arch: str
    width: float


@dataclass(frozen=True, eq=False)
class Site:
    """Where origins are trained and measured.

    Attributes:
        corpus: The data set.
        cache: Folder of origins and curves.
        progress: Told about every step.
    """

    corpus: Corpus
    cache: Path
    progress: Progress

    def originals(self, kinds: Sequence[Kind], seed: int) -> Mapping[int, Original]:
        """The origins, trained or from the cache, by place."""
        found: dict[int, Original] = {}
        for place, kind in enumerate(kinds):
            alone = replace(TASK, targets=((TASK.origins[place][0],),))
            request = OriginRequest(alone, kind.arch, kind.width, seed)
            folder = self.cache / "origins"
            found |= prepare_origins(request, self.corpus, folder, self.progress.tell)
        return found


class Market:
    """Origins with the samples of one draw.

    Args:
        site: Where they are.
        originals: The origins by place.
        draw: The samples.
    """

    def __init__(self, site: Site, originals: Mapping[int, Original], draw: Draw) -> None:
        self.originals = originals
        self.draw = draw
        self._site = site
        self._sources = {place: self._source(place) for place in originals}
        self._measured = {place: self._curves(place) for place in originals}
        self._pieces: dict[tuple[int, tuple[int, ...], BudgetKind, float], bytes] = {}

    def front(self, place: int, kind: BudgetKind, sizes: Sequence[float]) -> list[FrontPoint]:
        """What fragments of an origin of some sizes would come to."""
        measured = Measurements(self._measured[place].curves, None)
        network = Network.of(self.originals[place].model)
        found = predict_front(network, measured, self._recipe(kind, 1.0), sizes)
        return [FrontPoint(**asdict(point)) for point in found]

    def cut(self, sources: Sequence[Source], kind: BudgetKind, size: float) -> bytes:
        """What is left at a size of an origin for classes of it that are cut together."""
        (origin,) = {one.origin for one in sources}
        places = tuple(sorted(one.place for one in sources))
        key = (origin, places, kind, size)
        if key not in self._pieces:
            sliceable = self._sources[origin]
            plan = make_plan(
                sliceable.model,
                sliceable.samples,
                self._recipe(kind, size),
                augment=sliceable.augmentation,
                curves=self._measured[origin].curves,
            )
            (found,) = slice_jointly(
                sliceable.model,
                sliceable.samples,
                plan,
                places,
                augment=sliceable.augmentation,
                report=lambda step: self._site.progress.tell(told(step)),
            )
            self._pieces[key] = to_bytes(found.model)
        return self._pieces[key]

    def _recipe(self, kind: BudgetKind, size: float) -> Recipe:
        if kind is BudgetKind.MACS:
            return Recipe(budget_macs=size, seed=self.draw.seed)
        return Recipe(budget_params=size, seed=self.draw.seed)

    def _source(self, place: int) -> Sliceable:
        """An origin with its samples, and those of the others without their labels."""
        samples = self.draw.samples(self.originals[place].recipe.classes, INPUT)
        for other in sorted(set(self.originals) - {place}):
            found = self.draw.samples(self.originals[other].recipe.classes, INPUT)
            samples = samples.joined(unlabelled(found.inputs))
        arch = self.originals[place].recipe.arch
        return Sliceable(self.originals[place].model, samples, self._site.corpus.augmentation(arch))

    def _curves(self, place: int) -> Plan:
        recipe = self._recipe(BudgetKind.MACS, 1.0)
        folder = self._site.cache / "curves"
        return planned(self._sources[place], recipe, folder, self._site.progress.tell).plan
