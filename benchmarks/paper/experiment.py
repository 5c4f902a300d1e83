"""One draw of samples: origins sliced, packs made, baselines run."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.paper.baselines.registry import kept_answers
from benchmarks.paper.bench import Bench
from benchmarks.paper.features import guesses
from benchmarks.paper.overlap import Overlap, unit_overlap
from benchmarks.paper.packs import Pack, make_pack
from benchmarks.paper.samples import Draw
from benchmarks.paper.setting import PACK, RANDOM
from benchmarks.paper.slices import Piece, Planned, Sliceable, of_random_units, planned, sliced
from benchmarks.paper.tasks import Classes
from benchmarks.paper.trial import Answers, Trial
from slicer_svc.slicing.samples import Samples, unlabelled

Right = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Sliced:
    """One origin of one draw.

    Attributes:
        planned: Its plan.
        pieces: Its fragments by class index.
        random: Fragments of random units of the same plan; empty where not asked for.
        seconds: What slicing its classes took, those of random units left out.
    """

    planned: Planned
    pieces: Mapping[int, Piece]
    random: Mapping[int, Piece]
    seconds: float


@dataclass(frozen=True, eq=False)
class DrawOutcome:
    """What came of one draw.

    Attributes:
        right: By method and target, which test examples it got right `(n,)`.
        packs: By target.
        chosen: By method and target, what it chose.
        origins: By place in the task.
        overlaps: How much classes of one origin share of their units.
    """

    right: Mapping[str, Sequence[Right]]
    packs: Sequence[Pack]
    chosen: Mapping[str, Sequence[str]]
    origins: Mapping[int, Sliced]
    overlaps: Mapping[int, Overlap]


def run_draw(bench: Bench, number: int) -> DrawOutcome:
    """Slices every origin on the samples of a draw, makes every pack, runs every baseline."""
    draw = Draw(bench.corpus, bench.setting.k, bench.setting.seed, number)
    origins = {place: slice_origin(bench, draw, place) for place in bench.task.wanted}
    right: dict[str, list[Right]] = {name: [] for name in (PACK, *bench.setting.baselines)}
    chosen: dict[str, list[str]] = {name: [] for name in right}
    packs = []
    for target in bench.task.targets:
        trial, labels = trial_of(bench, draw, target)
        for name in right:
            if name in (PACK, RANDOM):
                pack = _packed(bench, trial, _pieces(bench, origins, target, name))
                answers = _answers(bench, pack, trial)
                packs += [pack] if name == PACK else []
            else:
                answers = kept_answers(name, trial, bench.setting.cache, bench.progress.tell)
            right[name].append(answers.guesses == labels)
            chosen[name].append(answers.chosen)
            share = float(right[name][-1].mean())
            bench.progress.finish(f"draw {number}, target {target}: {name} {share:.4f}")
    overlaps = {
        place: unit_overlap({label: piece.kept for label, piece in one.pieces.items()})
        for place, one in origins.items()
    }
    return DrawOutcome(right, packs, chosen, origins, overlaps)


def slice_origin(bench: Bench, draw: Draw, place: int) -> Sliced:
    """Plans and slices one origin on its k samples of each class.

    Args:
        bench: What the run shares.
        draw: The samples.
        place: The origin's place in the task.
    """
    setting, original = bench.setting, bench.originals[place]
    source = Sliceable(
        original.model,
        seen_samples(bench, draw, place),
        bench.corpus.augmentation(setting.arch),
    )

    def report(step: str) -> None:
        bench.progress.tell(f"origin {place}: {step}")

    recipe = replace(setting.slicing, seed=draw.seed)
    plan = planned(source, recipe, setting.cache / "curves", report)
    start = time.perf_counter()
    pieces = sliced(source, plan.plan, bench.task.wanted[place], report)
    seconds = time.perf_counter() - start
    random: Mapping[int, Piece] = {}
    if RANDOM in setting.baselines:
        random = sliced(source, of_random_units(plan.plan), bench.task.wanted[place], report)
    bench.progress.finish(f"origin {place} is sliced")
    return Sliced(plan, pieces, random, seconds)


def seen_samples(bench: Bench, draw: Draw, place: int) -> Samples:
    """What an origin is sliced on: its own samples, and those of the others without their labels.

    Args:
        bench: What the run shares.
        draw: The samples.
        place: The origin's place in the task.
    """
    originals = bench.originals
    own = draw.samples(originals[place].recipe.classes, bench.input_name)
    if bench.setting.alone:
        return own
    for other in sorted(set(bench.task.wanted) - {place}):
        found = draw.samples(originals[other].recipe.classes, bench.input_name)
        own = own.joined(unlabelled(found.inputs))
    return own


def trial_of(bench: Bench, draw: Draw, target: Classes) -> tuple[Trial, NDArray[np.int64]]:
    """What a method is given for one pack, and the labels of its test examples apart."""
    sources = bench.task.sources(target)
    inputs, labels = bench.test(target)
    trial = Trial(
        originals=[bench.originals[one.origin] for one in sources],
        places=[one.place for one in sources],
        samples=draw.samples(target, bench.input_name),
        augmentation=bench.corpus.augmentation(bench.setting.arch).of_the_same_class,
        views=bench.setting.slicing.views,
        seed=draw.seed,
        test=inputs,
        store=bench.store,
    )
    return trial, labels


def _pieces(
    bench: Bench, origins: Mapping[int, Sliced], target: Classes, name: str
) -> Sequence[Piece]:
    found = []
    for source in bench.task.sources(target):
        one = origins[source.origin]
        found.append((one.pieces if name == PACK else one.random)[source.place])
    return found


def _packed(bench: Bench, trial: Trial, pieces: Sequence[Piece]) -> Pack:
    graphs = [piece.graph for piece in pieces]
    samples = trial.samples
    return make_pack(graphs, samples.inputs, samples.labels, bench.store, trial.seed)


def _answers(bench: Bench, pack: Pack, trial: Trial) -> Answers:
    return Answers(guesses(pack.graph, trial.test, bench.setting.threads), pack.reads)
