"""``--only comparison``: Slice-and-Pack beside its neighbours, on the same origins and samples.

For every target of a task (one class of each origin) five answers to the same wish: a pack of
fragments; partial network cloning of the other classes into the first one's origin; one network
reassembled from blocks of the origins; the parts of Model LEGO; the ensemble of the whole
origins. All get the same k samples of each class of the market and choose by these alone. Then
Slice-and-Pack once more for each neighbour, with no more parameters than that one has on average
over the targets.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks import arguments as take
from benchmarks.market.comparison.case import Case, Made
from benchmarks.market.comparison.clone import cloned
from benchmarks.market.comparison.fragments import packed, sliced_market
from benchmarks.market.comparison.neighbours import ensemble, lego, reassembled
from benchmarks.paper.bench import Bench
from benchmarks.paper.command_line import write_once
from benchmarks.paper.result import device
from benchmarks.paper.samples import Draw
from benchmarks.paper.setting import Setting
from benchmarks.paper.statistics import accuracy, paired_difference
from benchmarks.paper.storage import key_of, save_json, source_of
from benchmarks.paper.tasks import TASKS, DataSet
from packer_svc.cloning.positions import INPUTS
from slicer_svc.slicing.recipe import Recipe
from svckit.cores import usable_cores

PROGRAM = "python -m benchmarks.market --only comparison"
COMPARED = ("T1", "T3")
OURS = "slice_and_pack"
NEIGHBOURS = ("pnc", "dery", "lego", "ensemble")
SIZED = ("pnc", "dery", "lego")
"""Those at whose number of parameters Slice-and-Pack is measured again."""
FIGURES = ("accuracy", "parameters", "macs", "seconds")
CODE = (
    *("benchmarks/market/comparison", "benchmarks/market/clone_samples.py", "benchmarks/paper"),
    *("onnxgraph", "slicer_svc/slicing"),
    *("packer_svc/fusion", "packer_svc/cloning", "packer_svc/reassembly"),
)

Row = Mapping[str, Any]
"""What a method made of one target: right answers, parameters, MACs, seconds."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, prints a table of each task and writes ``compare-TASK.json``.

    Args:
        arguments: Of the command line; those of the process where left out.

    Returns:
        The exit code of `write_once`, of the first task for which it is not 0.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    parsed = _parser().parse_args(given)
    torch.set_num_threads(parsed.threads)
    for task in parsed.tasks:
        path = parsed.out / f"compare-{task}.json"

        def run(task: str = task) -> Mapping[str, object]:
            command = f"{PROGRAM} {shlex.join(given)}".strip()
            return {"command": command, **_of_task(parsed, task), "device": device(parsed.threads)}

        code = write_once(path, run, force=parsed.force)
        if code:
            return code
        print(table(json.loads(path.read_text(encoding="utf-8"))))
    return 0


def _parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(prog=PROGRAM, description=__doc__)
    add = found.add_argument
    add("--data", required=True, type=Path, help="folder of CIFAR-10 and CIFAR-100")
    add("--cifar100", type=Path, help="folder of CIFAR-100; that of --data if left out")
    add("--out", required=True, type=Path, help="folder of results; .cache in it is shared by runs")
    add("--tasks", type=take.listed(take.one_of(COMPARED)), default=COMPARED)
    add("--arch", choices=("vgg16", "resnet34"), default="vgg16", help="the origins' network")
    add("--width", type=take.factor, default=0.125, help="factor on the origins' channels")
    add("--k", type=take.count, default=20, help="samples of each class")
    add("--seeds", type=take.listed(take.seed), default="0", help="of origins and samples")
    add("--draws", type=take.count, default=3, help="draws of the samples for each seed")
    add("--budget-params", type=take.share, default=0.25, help="share of the origins' parameters")
    add("--position", default=INPUTS, help="where clones get their parts; empty to choose it")
    add("--views", type=take.count, default=Recipe().views, help="augmented views of a sample")
    add("--threads", type=take.count, default=usable_cores(), help="processor threads")
    add("--force", action="store_true", help="replace documents that are there")
    return found


def _of_task(parsed: argparse.Namespace, task: str) -> Mapping[str, object]:
    found = []
    for seed in parsed.seeds:
        setting = _setting(parsed, task, seed)
        models = [task, parsed.arch, parsed.width, parsed.k, seed]
        asked = [*models, setting.slicing.to_json(), parsed.position]
        bench: Bench | None = None
        rows = []
        for draw in range(parsed.draws):
            key = key_of([*asked, draw], source_of(*CODE))
            path = setting.cache / "comparison" / f"{key}.json"
            if not path.exists():
                bench = bench or Bench.of(setting, TASKS[task])
                save_json(path, _of_draw(bench, draw, parsed.position))
            rows.append(json.loads(path.read_text(encoding="utf-8")))
        found.append(rows)
    asked_for = ("arch", "width", "k", "seeds", "draws", "budget_params", "position")
    return {
        "definition": " ".join(str(__doc__).split()),
        "task": task,
        **{name: getattr(parsed, name) for name in asked_for},
        **summary(found),
    }


def _setting(parsed: argparse.Namespace, task: str, seed: int) -> Setting:
    hundred = TASKS[task].data is DataSet.CIFAR100
    return Setting(
        task=task,
        arch=parsed.arch,
        k=parsed.k,
        slicing=Recipe(budget_params=parsed.budget_params, views=parsed.views),
        data=(parsed.cifar100 if hundred else None) or parsed.data,
        out=parsed.out,
        method="closed_form",
        width=parsed.width,
        seed=seed,
        draws=parsed.draws,
        baselines=(*NEIGHBOURS, *SIZED),
        threads=parsed.threads,
    )


def _of_draw(bench: Bench, number: int, position: str) -> dict[str, list[Row]]:
    """Of every method what it made of each target.

    Args:
        bench: Origins and data.
        number: The draw's.
        position: Where clones get their parts; empty to have it chosen.
    """
    draw = Draw(bench.corpus, bench.setting.k, bench.setting.seed, number)
    cases = [Case.of(bench, draw, target) for target in bench.task.targets]
    found: dict[str, list[Row]] = {}
    with tempfile.TemporaryDirectory() as folder:
        curves = Path(folder)
        share = bench.setting.slicing.budget_params
        assert share is not None
        fragments = sliced_market(bench, draw, share, curves, bench.progress.finish)
        methods = {
            OURS: lambda case: packed(case, fragments),
            "pnc": lambda case: cloned(case, fragments, position),
            "dery": reassembled,
            "lego": lego,
            "ensemble": ensemble,
        }
        for name, method in methods.items():
            found[name] = []
            for case in cases:
                row = _row(method(case), case)
                found[name].append(row)
                bench.progress.finish(_said(bench, case, name, row))
        for name in SIZED:
            share = _share(bench, float(np.mean([row["parameters"] for row in found[name]])))
            others = sliced_market(bench, draw, share, curves, bench.progress.tell)
            found[at(name)] = [_row(packed(case, others), case) for case in cases]
            for case, row in zip(cases, found[at(name)], strict=True):
                bench.progress.finish(_said(bench, case, at(name), row))
    return found


def at(neighbour: str) -> str:
    """What Slice-and-Pack is called with no more parameters than a neighbour."""
    return f"{OURS}_at_{neighbour}"


def _share(bench: Bench, parameters: float) -> float:
    """The share of the origins' parameters that fragments may keep beside the largest head."""
    wholes = [bench.ensemble_size(target) for target in bench.task.targets]
    bodies = float(np.mean([size.parameters - size.head for size in wholes]))
    heads = float(np.mean([size.head for size in wholes]))
    return float(np.clip((parameters - heads) / bodies, 0.01, 1.0))


def _row(made: Made, case: Case) -> Row:
    right = made.guesses == case.labels
    sizes = {key: value for key, value in asdict(made).items() if key != "guesses"}
    return {"right": right.astype(int).tolist(), **sizes}


def _said(bench: Bench, case: Case, name: str, row: Row) -> str:
    return (
        f"{bench.task.name}, seed {bench.setting.seed}, classes "
        f"{', '.join(map(str, case.target))}: {name} {np.mean(row['right']):.4f}"
    )


def summary(found: Sequence[Sequence[Mapping[str, Sequence[Row]]]]) -> dict[str, object]:
    """Means over seeds, draws and targets, and paired differences with their 95 % intervals.

    Args:
        found: By seed and draw, of every method a row for each target.
    """
    names = (OURS, *NEIGHBOURS, *map(at, SIZED))
    right = {name: [_right([draw[name] for draw in draws]) for draws in found] for name in names}
    document: dict[str, object] = {}
    for name in names:
        rows = [row for draws in found for draw in draws for row in draw[name]]
        document[f"{name}_accuracy"] = float(np.mean([accuracy(part) for part in right[name]]))
        for figure in _figures(name)[1:]:
            document[f"{name}_{figure}"] = float(np.mean([row[figure] for row in rows]))
    for name in NEIGHBOURS:
        document[f"less_{name}"] = asdict(paired_difference(right[OURS], right[name]))
    for name in SIZED:
        gap = paired_difference(right[at(name)], right[name])
        document[f"less_{name}_at_its_parameters"] = asdict(gap)
    document["accuracies"] = {
        name: [[part.mean(axis=1).tolist() for part in parts] for parts in right[name]]
        for name in names
    }
    return document


def _right(draws: Sequence[Sequence[Row]]) -> list[NDArray[np.bool_]]:
    """By target, whether each test example was classified rightly `(draws, n)`."""
    return [
        np.array([row["right"] for row in rows], dtype=np.bool_)
        for rows in zip(*draws, strict=True)
    ]


def table(document: Mapping[str, Any]) -> str:
    """What is printed: a line for each method."""
    task = document["task"]
    lines = [f"{task:24}{'accuracy':>10}{'parameters':>14}{'MACs':>16}{'seconds':>10}"]
    for name in (OURS, *NEIGHBOURS, *map(at, SIZED)):
        right, parameters, macs, *seconds = (document[f"{name}_{one}"] for one in _figures(name))
        took = "".join(f"{one:10.1f}" for one in seconds)
        lines.append(f"{name:24}{right:10.4f}{parameters:14,.0f}{macs:16,.0f}{took}")
    return "\n".join(lines)


def _figures(name: str) -> tuple[str, ...]:
    """What is told of a method; a second size is planned from curves that are there already."""
    return FIGURES[:-1] if name in map(at, SIZED) else FIGURES
