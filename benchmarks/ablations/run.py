"""All cells that a command asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.ablations.cells import Cell, cell, ensemble_right
from benchmarks.ablations.counts import Budget
from benchmarks.ablations.laboratory import Laboratory
from benchmarks.ablations.levers import DEFAULT, LEVERS
from benchmarks.ablations.result import Found
from benchmarks.ablations.variant import BLOCK, Variant
from benchmarks.paper.bench import Bench
from benchmarks.paper.progress import Progress
from benchmarks.paper.setting import Setting
from benchmarks.paper.statistics import accuracy
from benchmarks.paper.tasks import TASKS
from slicer_svc.slicing.errors import SlicingError, SlicingReason
from slicer_svc.slicing.recipe import Recipe


@dataclass(frozen=True)
class Asked:
    """What a command asks for.

    Attributes:
        data: Folder of the data sets.
        out: Folder of results; its `.cache` holds origins, baselines and cells.
        arch: The origins' architecture.
        k: Samples of a class.
        width: Factor on the origins' channels.
        seeds: Of origins and draws.
        draws: Draws of the samples.
        budgets: Sizes.
        levers: Names of levers.
        threads: Processor threads.
        block: Units are kept in multiples of this, but for the lever of blocks.
        task: The paper's task.
    """

    data: Path
    out: Path
    arch: str
    k: int
    width: float
    seeds: tuple[int, ...]
    draws: int
    budgets: tuple[Budget, ...]
    levers: tuple[str, ...]
    threads: int
    block: int = BLOCK
    task: str = "T1"

    @property
    def variants(self) -> Mapping[str, Variant]:
        """The default, and all variants of the levers."""
        tried: dict[str, Variant] = {DEFAULT: Variant()}
        for lever in self.levers:
            tried.update(LEVERS[lever].variants)
        return {
            name: variant if variant.block != BLOCK else replace(variant, block=self.block)
            for name, variant in tried.items()
        }


def measured(asked: Asked) -> Found:
    """Tries every variant at every budget on every draw.

    Raises:
        SettingError: The architecture does not go with the task.
        DataMissingError: The data set is not there.
        TooFewExamplesError: k is too large.
        SlicingError: BUDGET_UNREACHABLE by the default.
    """
    ensemble: list[list[NDArray[np.bool_]]] = []
    cells: dict[tuple[str, str], list[list[Cell]]] = {}
    unreached: set[tuple[str, str]] = set()
    for seed in asked.seeds:
        bench = _bench(asked, seed)
        draws = []
        for number in range(asked.draws):
            lab = Laboratory(bench, number)
            draws.append(ensemble_right(lab))
            for key, found in _tried(lab, asked).items():
                if found is None:
                    unreached.add(key)
                    continue
                by_seed = cells.setdefault(key, [])
                if number == 0:
                    by_seed.append([])
                by_seed[-1].append(found)
        ensemble.append([np.stack(rows) for rows in zip(*draws, strict=True)])
    return Found(ensemble, {key: kept for key, kept in cells.items() if key not in unreached})


def _bench(asked: Asked, seed: int) -> Bench:
    setting = Setting(
        task=asked.task,
        arch=asked.arch,
        k=asked.k,
        slicing=Recipe(),
        data=asked.data,
        out=asked.out,
        method="closed_form",
        width=asked.width,
        seed=seed,
        draws=asked.draws,
        threads=asked.threads,
    )
    bench = Bench.of(setting, TASKS[asked.task])
    steps = len(asked.variants) * len(asked.budgets) * asked.draws
    return replace(bench, progress=Progress(steps))


def _tried(lab: Laboratory, asked: Asked) -> Mapping[tuple[str, str], Cell | None]:
    """By variant and budget; None where a variant cannot reach a budget."""
    found: dict[tuple[str, str], Cell | None] = {}
    for name, variant in asked.variants.items():
        for budget in asked.budgets:
            # Without the default there is nothing to compare with: it refuses the run.
            attempt = cell if name == DEFAULT else _cell_or_none
            found[name, str(budget)] = one = attempt(lab, variant, budget)
            reached = "not reached" if one is None else f"{_accuracy(one):.4f}"
            lab.bench.progress.finish(f"draw {lab.number}, {budget}, {name}: {reached}")
    return found


def _cell_or_none(lab: Laboratory, variant: Variant, budget: Budget) -> Cell | None:
    try:
        return cell(lab, variant, budget)
    except SlicingError as error:
        if error.reason is not SlicingReason.BUDGET_UNREACHABLE:
            raise
        return None


def _accuracy(one: Cell) -> float:
    right: Sequence[NDArray[np.bool_]] = one.right
    return accuracy(right)
