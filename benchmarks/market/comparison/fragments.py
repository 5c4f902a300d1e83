"""Slice-and-Pack: the market of fragments of one draw, at one size."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.market.comparison.case import Case, Clock, Made
from benchmarks.paper.bench import Bench
from benchmarks.paper.experiment import seen_samples
from benchmarks.paper.features import guesses
from benchmarks.paper.packs import make_pack
from benchmarks.paper.samples import Draw
from benchmarks.paper.slices import Sliceable, planned, sliced

Key = tuple[int, int]
"""An origin's place in the task, and a class's place in it."""


@dataclass(frozen=True, eq=False)
class Fragments:
    """What a task's targets need.

    Attributes:
        graphs: The fragments.
        planning: By origin, seconds of the processor for its plan and the curves that it needs.
        slicing: The same for each fragment.
    """

    graphs: Mapping[Key, bytes]
    planning: Mapping[int, float]
    slicing: Mapping[Key, float]

    def of(self, case: Case) -> list[bytes]:
        """The fragments of a pack in the order of its classes."""
        return [self.graphs[key] for key in keys(case)]

    def seconds(self, case: Case) -> float:
        """What they took, had no other pack asked for one of them."""
        plans = sum(self.planning[origin] for origin in set(case.origins))
        return plans + sum(self.slicing[key] for key in keys(case))


def keys(case: Case) -> list[Key]:
    """Where the classes of a pack come from."""
    return [(source.origin, source.place) for source in case.bench.task.sources(case.target)]


def sliced_market(
    bench: Bench, draw: Draw, share: float, curves: Path, report: Callable[[str], None]
) -> Fragments:
    """Slices what all targets of a task need.

    Args:
        bench: Origins and data.
        draw: The samples.
        share: Of the origins' parameters that fragments keep at most, in (0, 1].
        curves: Folder of measured curves; what is in it costs no second.
        report: Told of every origin that is done.
    """
    graphs: dict[Key, bytes] = {}
    planning: dict[int, float] = {}
    slicing: dict[Key, float] = {}
    recipe = replace(bench.setting.slicing, budget_params=share, seed=draw.seed)
    augmentation = bench.corpus.augmentation(bench.setting.arch)
    for origin, places in bench.task.wanted.items():
        model = bench.originals[origin].model
        source = Sliceable(model, seen_samples(bench, draw, origin), augmentation)
        clock = Clock()
        with clock.running():
            plan = planned(source, recipe, curves, bench.progress.tell).plan
        planning[origin] = clock.seconds
        for place in places:
            clock = Clock()
            with clock.running():
                piece = sliced(source, plan, [place], bench.progress.tell)[place]
            graphs[origin, place], slicing[origin, place] = piece.graph, clock.seconds
        report(f"origin {origin} is sliced at {share:.3f} of its parameters")
    return Fragments(graphs, planning, slicing)


def packed(case: Case, fragments: Fragments) -> Made:
    """Slice-and-Pack: one branch for each class and a head over all of them."""
    trial, clock = case.trial, Clock(fragments.seconds(case))
    samples = trial.samples
    with clock.running():
        pack = make_pack(
            fragments.of(case), samples.inputs, samples.labels, trial.store, trial.seed
        )
    named = guesses(pack.graph, trial.test, case.bench.setting.threads)
    return Made(named, pack.size.parameters, pack.size.macs, clock.seconds)
