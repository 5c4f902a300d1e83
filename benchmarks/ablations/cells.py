"""A variant at a budget on a draw: packs made and judged, or found where that was done before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.ablations.counts import Budget
from benchmarks.ablations.laboratory import Laboratory
from benchmarks.ablations.slicing import fragment
from benchmarks.ablations.variant import Variant
from benchmarks.paper.baselines.registry import kept_answers
from benchmarks.paper.experiment import trial_of
from benchmarks.paper.features import guesses
from benchmarks.paper.packs import make_pack
from benchmarks.paper.storage import key_of, load_arrays, save_arrays, source_of

CODE = (
    "slicer_svc/slicing",
    "onnxgraph",
    "packer_svc/fusion",
    *(
        f"benchmarks/ablations/{name}.py"
        for name in (
            "adaptations",
            "cells",
            "counts",
            "fitting",
            "laboratory",
            "low_rank",
            "slicing",
            "sweeps",
        )
    ),
)
"""What a cell is made by."""


@dataclass(frozen=True, eq=False)
class Cell:
    """What came of a variant at a budget on one draw.

    Attributes:
        right: By target, which test examples its pack got right `(n,)`.
        macs_share: Of all packs, as a share of the ensemble's.
        parameter_share: The same of parameters.
    """

    right: Sequence[NDArray[np.bool_]]
    macs_share: float
    parameter_share: float


def cell(lab: Laboratory, variant: Variant, budget: Budget) -> Cell:
    """Slices, packs and judges; what the same code made of the same before is taken again.

    Args:
        lab: The draw.
        variant: How to slice.
        budget: To which size.

    Raises:
        SlicingError: BUDGET_UNREACHABLE.
    """
    bench = lab.bench
    setting = bench.setting
    key = key_of(
        *(bench.originals[place].whole for place in bench.task.wanted),
        [setting.task, setting.k, setting.seed, lab.number],
        variant.to_json(),
        str(budget),
        source_of(*CODE),
    )
    path = setting.cache / "ablations" / f"{key}.npz"
    if not path.exists():
        found = _made(lab, variant, budget)
        arrays = {f"target{number}": right for number, right in enumerate(found.right)}
        shares = np.array([found.macs_share, found.parameter_share])
        save_arrays(path, {**arrays, "shares": shares})
    kept = load_arrays(path)
    macs, parameters = kept["shares"].tolist()
    targets = range(len(bench.task.targets))
    return Cell([kept[f"target{number}"] for number in targets], macs, parameters)


def ensemble_right(lab: Laboratory) -> list[NDArray[np.bool_]]:
    """By target, which test examples the ensemble of the full originals gets right `(n,)`."""
    bench = lab.bench
    found = []
    for target in bench.task.targets:
        trial, labels = trial_of(bench, lab.draw, target)
        answers = kept_answers("ensemble", trial, bench.setting.cache, bench.progress.tell)
        found.append(answers.guesses == labels)
    return found


def _made(lab: Laboratory, variant: Variant, budget: Budget) -> Cell:
    bench = lab.bench
    pieces = _fragments(lab, variant, budget)
    right, macs, parameters = [], [], []
    for target in bench.task.targets:
        trial, labels = trial_of(bench, lab.draw, target)
        graphs = [pieces[one.origin, one.place] for one in bench.task.sources(target)]
        samples = trial.samples
        pack = make_pack(graphs, samples.inputs, samples.labels, bench.store, trial.seed)
        right.append(guesses(pack.graph, trial.test, bench.setting.threads) == labels)
        whole = bench.ensemble_size(target)
        macs.append(pack.size.macs / whole.macs)
        parameters.append(pack.size.counted / whole.counted)
    return Cell(right, float(np.mean(macs)), float(np.mean(parameters)))


def _fragments(
    lab: Laboratory, variant: Variant, budget: Budget
) -> Mapping[tuple[int, int], bytes]:
    """By origin and its class."""
    bench = lab.bench
    changed = ", ".join(f"{name} {setting}" for name, setting in variant.changes().items())
    found = {}
    for place, labels in bench.task.wanted.items():
        for label in labels:
            step = f"{changed or 'default'} at {budget}: origin {place}, class {label}"
            bench.progress.tell(step)
            found[place, label] = fragment(lab, place, label, variant, budget)
    return found
