"""``--only cloning``: partial network cloning on CIFAR-10, as its slides report it.

The origins of T1, three classes each. Each is the target of one clone of a single class and of one
of three, and the source of another: target 0 learns from 1, 1 from 2, 2 from 0. A clone tells all
classes of its target and the cloned ones apart, jointly. *Own* is its accuracy on test images of
the target's classes, beside the target's own, which tells these alone apart; *cloned* is that on
test images of the cloned classes, beside the source's, which tells its own three apart. All that is
chosen is chosen on the k samples of each class.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from benchmarks import arguments as take
from benchmarks.market.clone_samples import clone_samples
from benchmarks.market.intervals import Interval
from benchmarks.market.rivals import ensemble, scaled
from benchmarks.paper.bench import Bench
from benchmarks.paper.command_line import write_measured
from benchmarks.paper.experiment import seen_samples
from benchmarks.paper.samples import Draw
from benchmarks.paper.setting import Setting
from benchmarks.paper.slices import Sliceable, planned
from benchmarks.paper.tasks import TASKS
from onnxgraph.cost import cost
from onnxgraph.serialise import from_trusted_bytes, to_bytes
from packer_svc.cloning.choice import Cloning, put_in
from packer_svc.cloning.classifier import classified
from packer_svc.cloning.head import CloneHead
from packer_svc.cloning.merged import merge_clone
from packer_svc.cloning.positions import INPUTS
from packer_svc.fusion.features import FragmentFeatures
from packer_svc.fusion.heads.fit import fit_head, head_logits
from packer_svc.fusion.heads.spec import HeadSpec
from packer_svc.fusion.samples import PackSamples
from slicer_svc.slicing.fragments import slice_jointly
from slicer_svc.slicing.recipe import Recipe

PROGRAM = "python -m benchmarks.market --only cloning"
FRAGMENT, WHOLE = "fragment", "whole"
METHODS = ("clone", "ensemble", "scaled", "pack")
"""Ours; the larger of both models' probabilities; the same behind a factor for either model and an
offset, fitted to the samples; fragments of all classes with one head."""


@dataclass(frozen=True)
class Case:
    """One clone.

    Attributes:
        target: Place of the target in the task.
        source: Place of the source.
        places: The cloned classes by their places in the source's scores.
    """

    target: int
    source: int
    places: tuple[int, ...]


@dataclass(frozen=True)
class Score:
    """How a method does on one clone.

    Attributes:
        own: Accuracy on the target's classes.
        cloned: Accuracy on the cloned classes.
    """

    own: float
    cloned: float


@dataclass(frozen=True)
class Outcome:
    """One clone of one seed.

    Attributes:
        case: Which.
        alone: Of target and source alone, each among its own classes.
        scores: By method.
        position: Where the part was put in.
        parameters: Of the clone, over those of the target.
        macs: Likewise.
        seconds: Processor time of cloning, the slicing left out.
        target_kept: Whether every weight of the target is in the clone, bit for bit.
    """

    case: Case
    alone: Score
    scores: Mapping[str, Score]
    position: str
    parameters: float
    macs: float
    seconds: float
    target_kept: bool


def main(arguments: Sequence[str] | None = None) -> int:
    """Clones, measures, and writes ``cloning.json``.

    Args:
        arguments: Of the command line; those of the process where left out.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(prog=PROGRAM, description=__doc__)
    add = parser.add_argument
    add("--data", required=True, type=Path, help="folder of the data sets")
    add("--out", required=True, type=Path, help="folder of results; .cache in it is shared by runs")
    add("--k", type=take.count, default=20, help="samples of each class")
    add("--width", type=take.factor, default=0.25, help="factor on the origins' channels")
    add("--seeds", type=take.listed(take.seed), default="0,1,2", help="of origins and samples")
    add("--part", choices=(FRAGMENT, WHOLE), default=FRAGMENT, help="what is put in of the source")
    add("--budget-macs", type=take.share, default=0.5, help="of fragments, of their origin's")
    add("--position", default="", help="where it is put in; chosen where left out")
    add("--threads", type=take.count, default=1, help="processor threads")
    add("--force", action="store_true", help="replace a document that is there")

    def name(parsed: argparse.Namespace) -> str:
        place = f"-{parsed.position.strip('/').replace('/', '_')}" if parsed.position else ""
        return f"cloning-w{parsed.width:g}-k{parsed.k}-{parsed.part}{place}.json"

    return write_measured(parser, arguments, measured, name)


def measured(parsed: argparse.Namespace) -> dict[str, object]:
    """Every clone of every seed, and the figures of those of one class and of three."""
    by_seed = {seed: _of_seed(parsed, seed) for seed in parsed.seeds}
    return {
        "definition": " ".join(str(__doc__).split()),
        **{
            name: _figures(
                {
                    seed: [one for one in found if len(one.case.places) == count]
                    for seed, found in by_seed.items()
                }
            )
            for name, count in (("one_class", 1), ("three_classes", 3))
        },
    }


def _figures(by_seed: Mapping[int, Sequence[Outcome]]) -> dict[str, object]:
    """Means over clones, with intervals over seeds."""

    def over(value: object) -> dict[str, object]:
        assert callable(value)
        return Interval.of(
            [mean(value(one) for one in some) for some in by_seed.values()]
        ).to_json()

    everything = [one for some in by_seed.values() for one in some]
    found: dict[str, object] = {
        "clones": len(everything),
        "target_alone": over(lambda one: one.alone.own),
        "source_alone": over(lambda one: one.alone.cloned),
        "parameters_over_target": mean(one.parameters for one in everything),
        "macs_over_target": mean(one.macs for one in everything),
        "processor_seconds": mean(one.seconds for one in everything),
        "positions": [one.position for one in everything],
        "target_kept": all(one.target_kept for one in everything),
    }
    for method in METHODS:
        found[method] = {
            "own": over(lambda one, m=method: one.scores[m].own),
            "cloned": over(lambda one, m=method: one.scores[m].cloned),
            "own_drop": over(lambda one, m=method: one.alone.own - one.scores[m].own),
            "cloned_drop": over(lambda one, m=method: one.alone.cloned - one.scores[m].cloned),
        }
    return found


def _of_seed(parsed: argparse.Namespace, seed: int) -> list[Outcome]:
    recipe = Recipe(budget_macs=parsed.budget_macs)
    setting = Setting(
        task="T1",
        arch="vgg16",
        k=parsed.k,
        slicing=recipe,
        data=parsed.data,
        out=parsed.out,
        method="closed_form",
        width=parsed.width,
        seed=seed,
        threads=parsed.threads,
    )
    laboratory = _Laboratory(Bench.of(setting, TASKS["T1"]), parsed.part, parsed.position)
    count = len(TASKS["T1"].origins)
    cases = [
        Case(place, (place + 1) % count, places)
        for place in range(count)
        for places in ((place,), (0, 1, 2))
    ]
    return [laboratory.outcome(case) for case in cases]


class _Laboratory:
    """The origins and samples of one seed."""

    def __init__(self, bench: Bench, part: str, position: str) -> None:
        self._bench = bench
        self._part = part
        self._position = position
        self._draw = Draw(bench.corpus, bench.setting.k, bench.setting.seed, 0)
        rows = bench.corpus.test.rows_of(tuple(range(9)))
        self._test_labels = bench.corpus.test.labels[rows]
        self._test = {bench.input_name: bench.corpus.test.read(rows)}

    def outcome(self, case: Case) -> Outcome:
        """Clones, and measures all methods."""
        bench = self._bench
        own = bench.task.origins[case.target]
        wanted = tuple(bench.task.origins[case.source][place] for place in case.places)
        classes = (*own, *wanted)
        samples = clone_samples(bench, self._draw, classes)
        rows = np.flatnonzero(np.isin(self._test_labels, classes))
        truth = np.array([classes.index(label) for label in self._test_labels[rows]])
        target = bench.originals[case.target].whole
        part = self._piece(case.source, case.places)
        start = time.process_time()
        cloning = Cloning(target, part, samples, len(own), case.places, self._draw.seed)
        chosen = put_in(cloning, self._position, bench.progress.tell)
        shape = CloneHead(len(own), case.places, None)
        fitted = classified([target, chosen.branch], samples, shape, self._draw.seed)
        graphs = [one.graph for one in fitted.fragments]
        seconds = time.process_time() - start
        shared = self._part == WHOLE and chosen.position == INPUTS
        shown = self._tested(graphs, rows, shared=shared)
        wholes = self._tested([target, self._whole(case.source)], rows, shared=True)
        guesses = {
            "clone": fitted.head.probabilities(shown).argmax(axis=1),
            "ensemble": ensemble(wholes, case.places),
            "scaled": self._scaled(case, samples, wholes),
            "pack": self._packed(case, samples, len(own), part, rows),
        }
        scores = {name: _score(found == truth, truth < len(own)) for name, found in guesses.items()}
        kept, parameters, macs = _cost(target, graphs, fitted.head)
        bench.progress.finish(f"{case}: {scores} at {chosen.position}")
        return Outcome(
            case,
            self._alone(case, wholes, truth, len(own)),
            scores,
            chosen.position,
            parameters,
            macs,
            seconds,
            kept,
        )

    def _whole(self, origin: int) -> bytes:
        return self._bench.originals[origin].whole

    def _piece(self, origin: int, places: tuple[int, ...]) -> bytes:
        """What stands for classes of an origin: their joint fragment, or all of it."""
        if self._part == WHOLE:
            return self._whole(origin)
        bench = self._bench
        augmentation = bench.corpus.augmentation(bench.setting.arch)
        model = bench.originals[origin].model
        source = Sliceable(model, seen_samples(bench, self._draw, origin), augmentation)
        tell = bench.progress.tell
        plan = planned(source, bench.setting.slicing, bench.setting.cache / "curves", tell).plan
        (trunk,) = slice_jointly(model, source.samples, plan, places, augment=augmentation)
        return to_bytes(trunk.model)

    def _tested(
        self, graphs: Sequence[bytes], rows: NDArray[np.intp], *, shared: bool
    ) -> list[FragmentFeatures]:
        """What graphs say of test images; what other clones ask, too, is asked once of all."""
        store = self._bench.store
        if shared:
            return [one.rows(rows) for one in store.kept_outputs(graphs, self._test)]
        return store.outputs(graphs, {name: array[rows] for name, array in self._test.items()})

    def _alone(
        self, case: Case, wholes: Sequence[FragmentFeatures], truth: NDArray[np.int64], own: int
    ) -> Score:
        mine = truth < own
        sources = np.array([*range(own), *case.places])[truth]
        return Score(
            float((wholes[0].scores.argmax(axis=1) == truth)[mine].mean()),
            float((wholes[1].scores.argmax(axis=1) == sources)[~mine].mean()),
        )

    def _scaled(
        self, case: Case, samples: PackSamples, tested: Sequence[FragmentFeatures]
    ) -> NDArray[np.intp]:
        graphs = [self._whole(case.target), self._whole(case.source)]
        seen = self._bench.store.outputs(graphs, samples.inputs)
        return scaled(seen, samples.labels, tested, case.places)

    def _packed(
        self, case: Case, samples: PackSamples, own: int, part: bytes, rows: NDArray[np.intp]
    ) -> NDArray[np.intp]:
        """The guesses of Slice-and-Pack's own pack of all classes."""
        graphs = [self._piece(case.target, tuple(range(own))), part]
        seen = self._bench.store.outputs(graphs, samples.inputs)
        classes = own + len(case.places)
        serves = [range(own), range(own, classes)]
        spec = HeadSpec(seed=self._draw.seed)
        head, _ = fit_head(seen, samples.labels, classes, spec, serves=serves)
        tested = self._tested(graphs, rows, shared=self._part == WHOLE)
        named: NDArray[np.intp] = head_logits(head, tested).argmax(axis=1)
        return named


def _score(right: NDArray[np.bool_], own: NDArray[np.bool_]) -> Score:
    return Score(float(right[own].mean()), float(right[~own].mean()))


def _cost(target: bytes, graphs: Sequence[bytes], head: CloneHead) -> tuple[bool, float, float]:
    """Whether the target's weights are in the clone, and what the clone costs over the target."""
    names = [f"class {place}" for place in range(head.classes)]
    merged = merge_clone(graphs, head, names)
    alone = from_trusted_bytes(target)
    before, after = cost(alone), cost(merged)
    kept = _weights(merged) >= _weights(alone)
    return kept, after.parameters / before.parameters, after.macs / before.macs


def _weights(model: ir.Model) -> set[bytes]:
    tensors = [value.const_value for value in model.graph.initializers.values()]
    return {tensor.numpy().tobytes() for tensor in tensors if tensor is not None}
