"""``python -m benchmarks.none_of_these``: how well packs tell inputs of none of their classes.

Packs of trained origins, made as the packer makes them, are shown test pictures of their own
classes, of other classes of their models, of classes that no model knows, and of another data set.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks import arguments as take
from benchmarks.none_of_these.measured import Found, Market
from benchmarks.pack.accuracy import target_name
from benchmarks.paper.bench import Bench
from benchmarks.paper.command_line import write_measured
from benchmarks.paper.corpus import read_corpus
from benchmarks.paper.setting import Setting
from benchmarks.paper.tasks import TASKS, Classes, DataSet
from slicer_svc.slicing.recipe import Recipe
from svckit.cores import usable_cores

PROGRAM = "python -m benchmarks.none_of_these"
CASES = ("T1", "T4")
TARGETS = 3
"""Of T4, which has ten."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and writes ``none_of_these.json``.

    Args:
        arguments: Of the command line; those of the process where left out.

    Returns:
        The exit code of `write_measured`.
    """
    return write_measured(_parser(), arguments, _measured, "none_of_these.json")


def _measured(parsed: argparse.Namespace) -> dict[str, object]:
    targets: dict[str, Found] = {}
    for name in parsed.tasks:
        targets |= _of_task(parsed, name)
    return {"mean_auc": _means(targets), "targets": targets}


def _parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(prog=PROGRAM, description=__doc__)
    add = found.add_argument
    add("--data", type=Path, required=True, help="folder of CIFAR-10")
    add("--data-100", type=Path, help="folder of CIFAR-100; that of --data if left out")
    add("--out", type=Path, required=True, help="folder of results; .cache in it is shared by runs")
    add(
        "--tasks",
        type=take.listed(take.one_of(CASES)),
        default="T1",
        help="some of " + ",".join(CASES),
    )
    add("--width", type=take.factor, default=0.5, help="factor on the channels of the origins")
    add("--k", type=take.count, default=20, help="samples of each class")
    add("--budget-macs", type=take.share, default=0.25, help="share of the MACs of the origins")
    add("--block", type=take.count, default=16, help="their channels are kept in multiples of this")
    add("--per-class", type=take.count, default=200, help="test pictures of each class")
    add("--seed", type=take.seed, default=0, help="of origins and draws")
    add("--threads", type=take.count, default=usable_cores(), help="of training and slicing")
    add("--force", action="store_true", help="replace a document that is there")
    return found


def _of_task(parsed: argparse.Namespace, name: str) -> dict[str, Found]:
    """Measures the packs of a task, and those of whole models, which have nothing outside."""
    ten, hundred = parsed.data, parsed.data_100 or parsed.data
    pictures, others = (ten, hundred) if name == "T1" else (hundred, ten)
    task = TASKS[name]
    task = replace(task, targets=task.targets[:TARGETS])
    setting = Setting(
        task=name,
        arch="vgg16",
        k=parsed.k,
        slicing=Recipe(budget_macs=parsed.budget_macs, block=parsed.block),
        data=pictures,
        out=parsed.out,
        method="closed_form",
        width=parsed.width,
        seed=parsed.seed,
        baselines=(),
        threads=parsed.threads,
    )
    bench = Bench.of(setting, task)
    other = DataSet.CIFAR100 if task.data is DataSet.CIFAR10 else DataSet.CIFAR10
    market = Market.of(bench, read_corpus(other, others), parsed.per_class)
    whole = [classes for classes in task.origins if set(classes) <= set(market.graphs)]
    packs: list[Classes] = [*task.targets, *whole]
    return {target_name(name, target): market.measure(target) for target in packs}


def _means(targets: Mapping[str, Found]) -> dict[str, dict[str, dict[str, float]]]:
    """Mean areas over packs, by what stood for outside, score and where the pictures are from."""
    areas: dict[str, dict[str, dict[str, list[float]]]] = {}
    for found in targets.values():
        scores = {"none_of_these": found["auc"]} | dict(found["rival_auc"])  # type: ignore[call-overload]
        by_score = areas.setdefault(str(found["origin"]), {})
        for score, by_place in scores.items():
            for place, area in by_place.items():
                by_score.setdefault(score, {}).setdefault(place, []).append(area)
    return {
        origin: {
            score: {place: float(np.mean(each)) for place, each in by_place.items()}
            for score, by_place in by_score.items()
        }
        for origin, by_score in areas.items()
    }


if __name__ == "__main__":
    sys.exit(main())
