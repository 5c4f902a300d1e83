"""``--only search``: every figure of the search experiment, as one document."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks import arguments as take
from benchmarks.market.search.catalogue import MARKETS, Part, classes_of, market
from benchmarks.market.search.pictures import Pictures
from benchmarks.market.search.ranking import described
from benchmarks.market.search.rivals import accuracies, rankings, refusals
from benchmarks.market.search.stall import Stall, of_task, open_stall
from benchmarks.market.search.tasks import draw_tasks
from benchmarks.market.search.timing import search_seconds, specification_seconds
from benchmarks.paper.command_line import write_measured
from benchmarks.paper.images import ImageSet, LabelledImages, read_cifar10, read_cifar100
from benchmarks.paper.tasks import DataSet
from specification.model import Specification
from svckit.cores import usable_cores

PROGRAM = "python -m benchmarks.market --only search"
MANY = 10_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and writes ``search.json``.

    Args:
        arguments: Of the command line; those of the process where left out.

    Returns:
        The exit code of `write_measured`.
    """
    return write_measured(_parser(), arguments, _measured, _name)


def _name(parsed: argparse.Namespace) -> str:
    return "search.json" if parsed.part is Part.REPORTED else f"search-{parsed.part}.json"


def _parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(prog=PROGRAM, description=__doc__)
    add = found.add_argument
    add("--data", type=Path, required=True, help="folder of CIFAR-10 and CIFAR-100")
    add("--cifar100", type=Path, help="folder of CIFAR-100; that of --data if left out")
    add("--out", type=Path, required=True, help="folder of results; .cache in it is shared by runs")
    add("--tasks", type=take.count, default=216, help="tasks of each market")
    add("--k", type=take.count, default=20, help="pictures of each class that a user has")
    add("--test", type=take.count, default=60, help="test pictures of each class, the user's too")
    add("--seed", type=take.seed, default=0, help="of groups, training and tasks")
    add("--task-seed", type=take.seed, default=1, help="of the tasks alone")
    add("--part", type=Part, choices=list(Part), default=Part.REPORTED, help="which classes")
    add("--markets", type=take.listed(take.one_of(MARKETS)), default=tuple(MARKETS))
    add("--many", type=take.count, default=MANY, help="specifications that a search is timed over")
    add("--threads", type=take.count, default=usable_cores(), help="of training")
    add("--force", action="store_true", help="replace a document that is there")
    return found


def _measured(parsed: argparse.Namespace) -> dict[str, object]:
    hundred = read_cifar100(parsed.cifar100 or parsed.data)
    sets = {DataSet.CIFAR100: hundred}
    if parsed.part is Part.REPORTED:
        sets[DataSet.CIFAR10] = read_cifar10(parsed.data)
    train = {data: _pictures(found, found.train) for data, found in sets.items()}
    known = market(parsed.part, MARKETS["homogeneous"], parsed.seed)
    classes = {data: classes_of(known, data) for data in sets}
    test = {
        data: _pictures(found, found.test).first(classes[data], parsed.test)
        for data, found in sets.items()
    }
    specifying = specification_seconds(train[DataSet.CIFAR100])
    found: dict[str, object] = {
        "tasks": parsed.tasks,
        "k": parsed.k,
        "specification_seconds": float(np.median([one.wall for one in specifying])),
        "specification_processor_seconds": float(np.median([one.processor for one in specifying])),
    }
    for name in parsed.markets:
        entries = market(parsed.part, MARKETS[name], parsed.seed)
        stall = open_stall(entries, train, test, parsed.out / ".cache", _tell)
        prefix = "" if name == "homogeneous" else f"{name}_"
        for key, value in _of_market(name, stall, parsed).items():
            found[prefix + key] = value
    return found


def _of_market(name: str, stall: Stall, parsed: argparse.Namespace) -> dict[str, object]:
    entries = [model.entry for model in stall.models]
    tasks = draw_tasks(entries, stall.test, parsed.tasks, parsed.k, parsed.task_seed)
    queries = []
    for number, task in enumerate(tasks):
        queries.append(of_task(task, stall.test[task.data], number))
        if number % 40 == 39:
            _tell(f"{number + 1} of {len(tasks)} tasks are specified")
    truth = accuracies(stall, tasks)
    found: dict[str, object] = {"models": len(entries)}
    for rival, scores in rankings(stall, tasks, queries).items():
        figures = described(scores, truth, parsed.task_seed)
        found |= figures if rival == "search" else {rival: figures}
    found |= refusals(stall, tasks, queries)
    found["best_accuracy"] = float(truth["name"].max(axis=1).mean())
    if parsed.markets[0] == name:
        found |= _times(stall, queries, parsed.many)
    return found


def _times(stall: Stall, queries: list[Specification], count: int) -> dict[str, object]:
    found = search_seconds(list(stall.specifications), queries, count)
    return {
        "search_p99_ms": 1e3 * float(np.quantile([one.wall for one in found], 0.99)),
        "search_p99_processor_ms": 1e3 * float(np.quantile([one.processor for one in found], 0.99)),
        "searched": count,
    }


def _pictures(found: ImageSet, part: LabelledImages) -> Pictures:
    return Pictures(found.name, part.pixels, part.labels, found.names)


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
