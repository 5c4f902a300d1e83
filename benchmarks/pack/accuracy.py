"""The packer's head against the paper's, on the same fragments and samples."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence

from benchmarks.paper.bench import Bench
from benchmarks.paper.experiment import slice_origin, trial_of
from benchmarks.paper.features import guesses
from benchmarks.paper.samples import Draw
from benchmarks.paper.tasks import Classes
from packer_svc.fusion.heads.fit import fit_head
from packer_svc.fusion.heads.spec import HeadKind, HeadSpec
from packer_svc.fusion.pack import build_pack

Accuracies = Mapping[str, Mapping[HeadKind, float]]
"""By target and head, mean over the draws."""

REPEATS = 5


def accuracies(bench: Bench) -> Accuracies:
    """Slices a task's origins and packs every target with every head."""
    found: dict[str, dict[HeadKind, list[float]]] = {}
    for number in range(bench.setting.draws):
        draw = Draw(bench.corpus, bench.setting.k, bench.setting.seed, number)
        pieces = {place: slice_origin(bench, draw, place).pieces for place in bench.task.wanted}
        for target in bench.task.targets:
            graphs = [pieces[one.origin][one.place].graph for one in bench.task.sources(target)]
            name = target_name(bench.task.name, target)
            for kind, share in _of_target(bench, draw, target, graphs).items():
                found.setdefault(name, {}).setdefault(kind, []).append(share)
            bench.progress.finish(f"draw {number}, {name}")
    return {
        name: {kind: statistics.mean(shares) for kind, shares in heads.items()}
        for name, heads in found.items()
    }


def head_seconds(bench: Bench, classes: int) -> float:
    """Wall time of the default head's fit, cross-validation included; median of `REPEATS`.

    On the features of the full originals, which are wider than those of fragments: there is no
    need to slice for a figure that is no better for it.

    Args:
        bench: Whose origins are asked.
        classes: Of the pack.
    """
    chosen = [
        (original, label)
        for original in bench.originals.values()
        for label in original.recipe.classes
    ][:classes]
    draw = Draw(bench.corpus, bench.setting.k, bench.setting.seed, 0)
    samples = draw.samples(tuple(label for _, label in chosen), bench.input_name)
    outputs = bench.store.outputs([original.whole for original, _ in chosen], samples.inputs)
    spent = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        fit_head(outputs, samples.labels, classes, HeadSpec())
        spent.append(time.perf_counter() - start)
    return statistics.median(spent)


def target_name(task: str, target: Classes) -> str:
    """What a target is called in the document."""
    return f"{task} {','.join(map(str, target))}"


def _of_target(
    bench: Bench, draw: Draw, target: Classes, graphs: Sequence[bytes]
) -> dict[HeadKind, float]:
    trial, labels = trial_of(bench, draw, target)
    samples = trial.samples
    outputs = trial.store.outputs(graphs, samples.inputs)
    serves = [[place] for place in range(len(graphs))]
    names = [f"class {place}" for place in range(len(graphs))]
    found = {}
    for kind in HeadKind:
        spec = HeadSpec(kind=kind, seed=trial.seed)
        head, _ = fit_head(outputs, samples.labels, len(graphs), spec, serves=serves)
        pack = build_pack(graphs, head, names)
        right = guesses(pack, trial.test, bench.setting.threads) == labels
        found[kind] = float(right.mean())
    return found
