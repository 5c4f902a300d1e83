"""``python -m benchmarks.trunks``: several classes of one origin, cut together or each for itself.

Packs of the first classes of every origin, and of some classes of each: with a fragment of its own
for every class, and with one trunk for the classes of an origin, both at several budgets. Test
accuracy stands beside parameters and MACs as shares of the full originals'.
"""

from __future__ import annotations

import shlex
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from benchmarks import arguments as take
from benchmarks.paper.bench import Bench
from benchmarks.paper.command_line import experiment_parser, run_once, setting_of
from benchmarks.paper.experiment import seen_samples, trial_of
from benchmarks.paper.features import guesses
from benchmarks.paper.packs import make_pack
from benchmarks.paper.progress import Progress
from benchmarks.paper.result import device
from benchmarks.paper.samples import Draw
from benchmarks.paper.setting import Setting
from benchmarks.paper.slices import Sliceable, planned, told
from benchmarks.paper.tasks import TASKS, Classes
from onnxgraph.serialise import to_bytes
from slicer_svc.slicing.fragments import slice_jointly

PROGRAM = "python -m benchmarks.trunks"
WHOLE, APART, JOINT = "whole", "apart", "joint"


@dataclass(frozen=True)
class Ask:
    """Which packs are compared.

    Attributes:
        origins: How many of the task's origins are looked at; None for all.
        classes: How many classes of one origin make a pack.
        mixed: How many classes of each origin make the mixed pack; 0 for none.
        apart: Budgets of fragments of one class, shares of the MACs.
        joint: Budgets of trunks.
    """

    origins: int | None
    classes: tuple[int, ...]
    mixed: int
    apart: tuple[float, ...]
    joint: tuple[float, ...]


@dataclass(frozen=True)
class Outcome:
    """Packs of one kind, means over origins and draws.

    Attributes:
        classes: Of the pack.
        origins: That they come from.
        way: `whole` for the full originals, `apart` or `joint`.
        budget: Of each fragment or trunk, as a share of its origin's MACs.
        accuracy: On test examples.
        macs: As a share of the full originals' with their joint classifier.
        parameters: Likewise.
        slice_seconds: What slicing took.
    """

    classes: int
    origins: int
    way: str
    budget: float
    accuracy: float
    macs: float
    parameters: float
    slice_seconds: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Slices, packs and writes the document.

    Args:
        arguments: Of the command line; those of the process where left out.

    Returns:
        The exit code of `run_once`.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = experiment_parser(PROGRAM, str(__doc__))
    parser.set_defaults(baselines="none")
    add = parser.add_argument
    add(
        "--origins",
        type=take.count,
        help="how many of the task's origins are looked at; all by default",
    )
    add(
        "--classes",
        type=take.listed(take.count),
        default="2,3",
        help="classes of one origin in a pack",
    )
    add(
        "--mixed",
        type=take.seed,
        default=2,
        help="classes of each origin in the mixed pack; 0 for none",
    )
    add(
        "--apart",
        type=take.listed(take.share),
        default="0.25,0.12",
        help="budgets of fragments of one class",
    )
    add("--joint", type=take.listed(take.share), default="0.5,0.25,0.12", help="budgets of trunks")
    parsed = parser.parse_args(given)

    def run(setting: Setting) -> dict[str, object]:
        ask = Ask(
            parsed.origins,
            parsed.classes,
            parsed.mixed,
            parsed.apart,
            parsed.joint,
        )
        found = outcomes(Bench.of(setting, TASKS[setting.task]), ask)
        return {
            "command": f"{PROGRAM} {shlex.join(given)}",
            "packs": [asdict(one) for one in found],
            "device": device(setting.threads),
        }

    return run_once(lambda: replace(setting_of(parsed), prefix="trunks-"), run, force=parsed.force)


def outcomes(bench: Bench, ask: Ask) -> list[Outcome]:
    """Every pack of every draw, those of one kind as one."""
    ways = [
        (WHOLE, 1.0),
        *((APART, one) for one in ask.apart),
        *((JOINT, one) for one in ask.joint),
    ]
    found: dict[tuple[int, int, str, float], list[Outcome]] = {}
    targets, setting = _targets(bench, ask), bench.setting
    progress = Progress(setting.draws * len(targets) * len(ways))
    for number in range(setting.draws):
        draw = Draw(bench.corpus, setting.k, setting.seed, number)
        origins = _Origins(bench, draw, progress)
        for target in targets:
            for way, budget in ways:
                one = _outcome(bench, origins, target, way, budget)
                progress.finish(f"draw {number}: {one}")
                found.setdefault((one.origins, one.classes, way, budget), []).append(one)
    return [_mean(some) for some in found.values()]


def _targets(bench: Bench, ask: Ask) -> list[Classes]:
    origins = [bench.task.origins[place] for place in bench.task.wanted][: ask.origins]
    targets = [own[:count] for count in ask.classes for own in origins if count <= len(own)]
    if ask.mixed:
        targets.append(tuple(one for own in origins for one in own[: ask.mixed]))
    return targets


def _outcome(bench: Bench, origins: _Origins, target: Classes, way: str, budget: float) -> Outcome:
    trial, labels = trial_of(bench, origins.draw, target)
    sources = bench.task.sources(target)
    places: dict[int, tuple[int, ...]] = {}
    for one in sources:
        places[one.origin] = (*places.get(one.origin, ()), one.place)
    cuts = {origin: origins.cut(origin, wanted, way, budget) for origin, wanted in places.items()}
    graphs = [cuts[one.origin].graphs[one.place] for one in sources]
    samples = trial.samples
    pack = make_pack(graphs, samples.inputs, samples.labels, bench.store, trial.seed)
    right = guesses(pack.graph, trial.test, bench.setting.threads) == labels
    whole = bench.ensemble_size(target)
    return Outcome(
        classes=len(target),
        origins=len(places),
        way=way,
        budget=budget,
        accuracy=float(right.mean()),
        macs=pack.size.macs / whole.macs,
        parameters=pack.size.parameters / whole.parameters,
        slice_seconds=sum(cut.seconds for cut in cuts.values()),
    )


@dataclass(frozen=True, eq=False)
class _Cut:
    """What is left of an origin, by class index, and how long slicing it took."""

    graphs: Mapping[int, bytes]
    seconds: float


class _Origins:
    """The origins as a draw slices them; what was cut before is taken again."""

    def __init__(self, bench: Bench, draw: Draw, progress: Progress) -> None:
        self.draw = draw
        self._progress = progress
        self._bench = bench
        self._kept: dict[tuple[int, float, tuple[int, ...]], _Cut] = {}

    def cut(self, origin: int, places: tuple[int, ...], way: str, budget: float) -> _Cut:
        """The fragments of some classes of an origin."""
        if way == WHOLE:
            return _Cut(dict.fromkeys(places, self._bench.originals[origin].whole), 0.0)
        if way == JOINT:
            return self._trunk(origin, places, budget)
        alone = [self._trunk(origin, (place,), budget) for place in places]
        graphs = {place: graph for one in alone for place, graph in one.graphs.items()}
        return _Cut(graphs, sum(one.seconds for one in alone))

    def _trunk(self, origin: int, places: tuple[int, ...], budget: float) -> _Cut:
        key = (origin, budget, places)
        if key not in self._kept:
            self._kept[key] = self._sliced(origin, places, budget)
        return self._kept[key]

    def _sliced(self, origin: int, places: tuple[int, ...], budget: float) -> _Cut:
        bench, setting = self._bench, self._bench.setting
        original = bench.originals[origin]
        augmentation = bench.corpus.augmentation(setting.arch)
        samples = seen_samples(bench, self.draw, origin)
        source = Sliceable(original.model, samples, augmentation)
        recipe = replace(setting.slicing, budget_macs=budget, seed=self.draw.seed)
        plan = planned(source, recipe, setting.cache / "curves", self._progress.tell).plan
        start = time.perf_counter()
        (trunk,) = slice_jointly(
            source.model,
            source.samples,
            plan,
            places,
            augment=augmentation,
            report=lambda step: self._progress.tell(f"origin {origin}: {told(step)}"),
        )
        seconds = time.perf_counter() - start
        return _Cut(dict.fromkeys(places, to_bytes(trunk.model)), seconds)


def _mean(some: Sequence[Outcome]) -> Outcome:
    return replace(
        some[0],
        accuracy=statistics.mean(one.accuracy for one in some),
        macs=statistics.mean(one.macs for one in some),
        parameters=statistics.mean(one.parameters for one in some),
        slice_seconds=statistics.mean(one.slice_seconds for one in some),
    )


if __name__ == "__main__":
    sys.exit(main())
