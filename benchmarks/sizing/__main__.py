"""``python -m benchmarks.sizing``: packs of a size to order, shared in three ways.

Every pack has one budget. *Trunks*: the packer's way, the classes of an origin cut together, each
trunk at the size at which the sum of all predicted errors is least. *Together*: a fragment for each
class, at such sizes. *Alike*: every fragment keeps the same share of its model, the largest that
the budget allows. Accuracies are those on test images that nothing else has seen; intervals are
drawn over seeds and test images.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import arguments as take
from benchmarks.paper.command_line import FAILURES, write_measured
from benchmarks.paper.corpus import Corpus, read_corpus
from benchmarks.paper.features import FeatureStore, guesses
from benchmarks.paper.networks import IMAGE_NETWORKS
from benchmarks.paper.packs import make_pack
from benchmarks.paper.progress import Progress
from benchmarks.paper.samples import Draw
from benchmarks.paper.statistics import accuracy, paired_difference
from benchmarks.paper.tasks import Classes, DataSet, Source
from benchmarks.sizing.market import INPUT, TASK, Kind, Market, Site
from benchmarks.sizing.shares import Branch, alike, order_of, together, trunks
from packer_svc.sizing import BudgetKind, Order
from svckit.cores import usable_cores

PROGRAM = "python -m benchmarks.sizing"
TARGETS = "0,1,3,4,6 2,3,5,6,8 1,4,6,7,8 0,2,3,5,7"
BUDGETS = "macs:0.25 macs:0.12 parameters:0.13"
SHARED = (BudgetKind.MACS.value, BudgetKind.PARAMETERS.value)
"""The kinds of budget that are shares of the full originals."""

SHARING: Mapping[str, Callable[[Market, Order, Sequence[Source]], list[Branch]]] = {
    "alike": alike,
    "together": together,
    "trunks": trunks,
}
GAINS = (("trunks", "alike"), ("trunks", "together"), ("together", "alike"))
"""What is compared: the one, and the other that is taken off."""


@dataclass(frozen=True, eq=False)
class Measured:
    """One pack of one seed.

    Attributes:
        seed: Of origins and draw.
        target: Its classes.
        budget: Of it, as it was asked for.
        way: How the budget was shared.
        right: Whether each test image was classified rightly `(n,)`.
        told: What else is told of it.
    """

    seed: int
    target: Classes
    budget: str
    way: str
    right: NDArray[np.bool_]
    told: Mapping[str, object]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and writes a document.

    Args:
        arguments: Of the command line; those of the process where left out.

    Returns:
        The exit code of `write_measured`.
    """
    failures = (*FAILURES, ValueError)
    return write_measured(_parser(), arguments, _measured, _document_name, failures)


def _measured(parsed: argparse.Namespace) -> dict[str, object]:
    packs = list(_packs(parsed))
    budgets = dict.fromkeys(one.budget for one in packs)
    return {
        "summary": {
            budget: _summary([one for one in packs if one.budget == budget]) for budget in budgets
        },
        "packs": [
            {
                "seed": one.seed,
                "target": one.target,
                "budget": one.budget,
                "way": one.way,
                "accuracy": float(one.right.mean()),
                **one.told,
            }
            for one in packs
        ],
    }


def _document_name(parsed: argparse.Namespace) -> str:
    return f"sizing-{'-'.join(f'{one.arch}{one.width}' for one in parsed.origins)}.json"


def _parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(prog=PROGRAM, description=__doc__)
    add = found.add_argument
    add("--data", type=Path, required=True, help="folder of CIFAR-10")
    add("--out", type=Path, required=True, help="folder of results; .cache in it is shared by runs")
    add(
        "--origins",
        type=_kinds,
        default="vgg16:0.5 vgg16:0.5 vgg16:0.5",
        help="architecture:width of T1's",
    )
    add("--targets", type=take.listed(_target, None), default=TARGETS, help="classes of each pack")
    add("--budgets", type=take.listed(_budget, None), default=BUDGETS, help="kind:share of each")
    add("--k", type=take.count, default=20, help="samples of each class")
    add("--seeds", type=take.listed(take.seed), default="0", help="of origins and draws")
    add("--threads", type=take.count, default=usable_cores(), help="processor threads")
    add("--force", action="store_true", help="replace a document that is there")
    return found


def _packs(parsed: argparse.Namespace) -> Iterator[Measured]:
    targets, budgets = parsed.targets, parsed.budgets
    corpus = read_corpus(DataSet.CIFAR10, parsed.data)
    progress = Progress(len(parsed.seeds) * len(targets) * len(budgets) * len(SHARING))
    site = Site(corpus, parsed.out / ".cache", progress)
    store = FeatureStore(site.cache / "features", parsed.threads)
    for number in parsed.seeds:
        origins = site.originals(parsed.origins, number)
        market = Market(site, origins, Draw(corpus, parsed.k, number, 0))
        for target in targets:
            for kind, value in budgets:
                order = order_of(market, target, kind, value)
                budget = f"{kind}:{value}"
                for way, share in SHARING.items():
                    branches = share(market, order, TASK.sources(target))
                    right, told = _pack(market, order, target, branches, (corpus, store))
                    progress.finish(f"seed {number}, {target}, {budget}: {way} {right.mean():.4f}")
                    yield Measured(number, target, budget, way, right, told)


def _kinds(text: str) -> tuple[Kind, ...]:
    """Reads what each origin of the task is."""
    found = take.listed(_kind, None)(text)
    if len(found) != len(TASK.origins):
        raise argparse.ArgumentTypeError(f"the task has {len(TASK.origins)} origins, as many kinds")
    return found


def _kind(text: str) -> Kind:
    arch, _, width = text.partition(":")
    return Kind(take.one_of(IMAGE_NETWORKS)(arch), take.factor(width))


def _target(text: str) -> Classes:
    """Reads different classes of the task, at least two."""
    found = take.listed(take.seed)(text)
    known = {label for classes in TASK.origins for label in classes}
    if not set(found) <= known or len({*found}) < max(2, len(found)):
        raise argparse.ArgumentTypeError(f"{text!r} are no two or more different ones of {known}")
    return found


def _budget(text: str) -> tuple[BudgetKind, float]:
    kind, _, value = text.partition(":")
    return BudgetKind(take.one_of(SHARED)(kind)), take.share(value)


def _pack(
    market: Market,
    order: Order,
    target: Classes,
    branches: Sequence[Branch],
    tools: tuple[Corpus, FeatureStore],
) -> tuple[NDArray[np.bool_], dict[str, object]]:
    corpus, store = tools
    start = time.perf_counter()
    graphs = {
        one.label: graph
        for branch in branches
        for graph in [market.cut(branch.sources, order.kind, branch.size)]
        for one in branch.sources
    }
    sliced = time.perf_counter() - start
    samples = market.draw.samples(target, INPUT)
    pack = make_pack(
        [graphs[label] for label in target],
        samples.inputs,
        samples.labels,
        store,
        market.draw.seed,
    )
    used = pack.size.macs if order.kind is BudgetKind.MACS else pack.size.parameters
    if used > order.limit:
        raise ValueError(f"{used} are beyond the budget of {order.limit:.0f}")
    rows = corpus.test.rows_of(target)
    found = guesses(pack.graph, {INPUT: corpus.test.read(rows)}, 1)
    return found == corpus.test.places(rows, target), {
        "shares": {
            ",".join(str(one.label) for one in branch.sources): round(branch.size, 4)
            for branch in branches
        },
        "spent": used / order.limit,
        "parameters": pack.size.parameters,
        "macs": pack.size.macs,
        "slice_seconds": sliced,
    }


def _summary(packs: Sequence[Measured]) -> dict[str, object]:
    """Mean accuracies of a budget, and what one way wins over another, over all targets and each.

    Where a target has several classes of an origin, trunks are not what is planned together.
    """
    targets = list(dict.fromkeys(one.target for one in packs))
    return {
        "all": _compared(packs, targets),
        **{",".join(map(str, target)): _compared(packs, [target]) for target in targets},
    }


def _compared(packs: Sequence[Measured], targets: Sequence[Classes]) -> dict[str, object]:
    seeds = list(dict.fromkeys(one.seed for one in packs))
    right = {(one.seed, one.target, one.way): one.right[None] for one in packs}
    # By way and seed, as the resampling takes them.
    ways = {
        way: [[right[seed, target, way] for target in targets] for seed in seeds] for way in SHARING
    }
    means = {way: float(np.mean([accuracy(seed) for seed in ways[way]])) for way in SHARING}
    gains = {
        f"{one} - {other}": asdict(paired_difference(ways[one], ways[other]))
        for one, other in GAINS
    }
    return {"accuracy": means, "gain": gains}


if __name__ == "__main__":
    sys.exit(main())
