"""Packs of trained origins, and what their scores say about pictures that nothing has seen."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.none_of_these.rivals import rivals
from benchmarks.paper.bench import Bench
from benchmarks.paper.corpus import Corpus
from benchmarks.paper.experiment import slice_origin
from benchmarks.paper.samples import Draw
from benchmarks.paper.tasks import Classes
from packer_svc.fusion.features import FragmentFeatures
from packer_svc.fusion.heads.fit import fit_head
from packer_svc.fusion.heads.none_of_these import NoneReport, NoneSamples, fit_none_of_these
from packer_svc.fusion.heads.spec import HeadSpec
from packer_svc.fusion.roc import roc
from packer_svc.jobs.outside import MOST_SAMPLES

Array = npt.NDArray[np.float64]
Features = Sequence[FragmentFeatures]
Found = dict[str, object]

INSIDE = "inside"
BINS = 10
OTHERS = 2000
"""Pictures of another data set."""


@dataclass(frozen=True)
class Market:
    """One draw of a task, sliced.

    Attributes:
        bench: The task.
        draw: Its samples.
        graphs: Fragments by class of the data set.
        elsewhere: Another data set, of which no origin knows anything.
        per_class: Test pictures of each class.
    """

    bench: Bench
    draw: Draw
    graphs: Mapping[int, bytes]
    elsewhere: Corpus
    per_class: int

    @classmethod
    def of(cls, bench: Bench, elsewhere: Corpus, per_class: int) -> Market:
        """Slices all classes that the task's packs need."""
        draw = Draw(bench.corpus, bench.setting.k, bench.setting.seed, 0)
        graphs = {}
        for place in bench.task.wanted:
            for at, piece in slice_origin(bench, draw, place).pieces.items():
                graphs[bench.originals[place].recipe.classes[at]] = piece.graph
        return cls(bench, draw, graphs, elsewhere, per_class)

    def measure(self, target: Classes) -> Found:
        """Fits the score of a pack and judges it, and its rivals, on test pictures.

        Args:
            target: The pack's classes; each has a fragment.
        """
        samples = self._samples(target)
        rows = np.flatnonzero(samples.labels < len(target))
        own = [part.rows(rows) for part in samples.features]
        head, _ = fit_head(own, samples.labels[rows], len(target), HeadSpec())
        start = time.perf_counter()
        score, report = fit_none_of_these(samples, 0)
        seconds = time.perf_counter() - start
        shown = self._test(target)
        scores = {name: score.probability(part)[:, 0] for name, part in shown.items()}
        others = {
            name: _areas({where: rival(part) for where, part in shown.items()})
            for name, rival in rivals(head, samples).items()
        }
        return {
            "origin": report.origin,
            "cross_validated_auc": report.roc.auc,
            "auc": _areas(scores),
            "rival_auc": others,
            "fit_seconds": seconds,
            **_judged(scores, report),
        }

    def _samples(self, target: Classes) -> NoneSamples:
        """The samples of the pack's classes, and of the other classes of its models."""
        bench, k = self.bench, self.bench.setting.k
        outside = sorted(self._known(target) - set(target))
        share = min(k, MOST_SAMPLES // max(len(outside), 1))
        parts = [self.draw.samples((label,), bench.input_name).inputs for label in target]
        for label in outside:
            inputs = self.draw.samples((label,), bench.input_name).inputs
            parts.append({name: values[:share] for name, values in inputs.items()})
        counts = [len(part[bench.input_name]) for part in parts]
        joined = np.concatenate([part[bench.input_name] for part in parts])
        return NoneSamples(
            self._answers(target, joined),
            np.repeat(np.arange(len(parts)), counts),
            len(target),
            [[place] for place in range(len(target))],
        )

    def _known(self, target: Classes) -> set[int]:
        """All classes of the models that the pack takes from."""
        sources = self.bench.task.sources(target)
        return {label for one in sources for label in self.bench.task.origins[one.origin]}

    def _test(self, target: Classes) -> dict[str, Features]:
        """What the fragments say about test pictures, by where these are from."""
        test, known = self.bench.corpus.test, self._known(target)
        labels = range(len(self.bench.corpus.names))
        kinds = {
            INSIDE: set(target),
            "other classes of its models": known - set(target),
            "classes that no model knows": set(labels) - known,
        }
        found: dict[str, Features] = {}
        for name, classes in kinds.items():
            rows = [test.rows_of((label,))[: self.per_class] for label in sorted(classes)]
            if rows:
                found[name] = self._answers(target, test.read(np.concatenate(rows)))
        elsewhere = self.elsewhere.test
        rows_there = np.arange(min(OTHERS, len(elsewhere.labels)))
        found["another data set"] = self._answers(target, elsewhere.read(rows_there))
        return found

    def _answers(self, target: Classes, pictures: npt.NDArray[np.generic]) -> Features:
        graphs = [self.graphs[label] for label in target]
        return self.bench.store.outputs(graphs, {self.bench.input_name: pictures})


def _areas(scores: Mapping[str, Array]) -> dict[str, float]:
    """Area under the curve by where the pictures outside are from."""
    inside = scores[INSIDE]
    return {name: roc(inside, part).auc for name, part in scores.items() if name != INSIDE}


def _judged(scores: Mapping[str, Array], report: NoneReport) -> Found:
    """How well the score is calibrated at even odds, and what its threshold finds."""
    inside = scores[INSIDE]
    outside = {name: part for name, part in scores.items() if name != INSIDE}
    return {
        "calibration_error": {name: _error(inside, part) for name, part in outside.items()},
        "false_alarms": float((inside >= report.roc.threshold).mean()),
        "found": {
            name: float((part >= report.roc.threshold).mean()) for name, part in outside.items()
        },
    }


def _error(inside: Array, outside: Array) -> float:
    """Expected calibration error over `BINS` equal bins, both sides weighing one half."""
    scores = np.concatenate([inside, outside])
    truth = np.repeat([0.0, 1.0], [len(inside), len(outside)])
    weights = np.repeat([0.5 / len(inside), 0.5 / len(outside)], [len(inside), len(outside)])
    bins = np.minimum((scores * BINS).astype(np.int64), BINS - 1)
    gaps = np.bincount(bins, weights * (scores - truth), BINS)
    return float(np.abs(gaps).sum())
