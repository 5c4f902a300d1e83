"""``python -m benchmarks.sizing``: packs of a size to order, planned together or all alike.

Every pack has one budget. *Together*: the packer's way, each fragment at the size at which the sum
of all predicted errors is least. *Alike*: every fragment keeps the same share of its model, the
largest that the budget allows. Accuracies are those on test images that nothing else has seen.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import arguments as take
from benchmarks.paper.command_line import FAILURES, write_measured
from benchmarks.paper.corpus import Corpus, read_corpus
from benchmarks.paper.features import FeatureStore, guesses
from benchmarks.paper.networks import IMAGE_NETWORKS
from benchmarks.paper.packs import make_pack
from benchmarks.paper.progress import Progress
from benchmarks.paper.samples import Draw
from benchmarks.paper.tasks import Classes, DataSet, Source
from benchmarks.sizing.market import INPUT, TASK, Kind, Market, Site
from benchmarks.sizing.shares import alike, order_of, together
from packer_svc.sizing import BudgetKind, Order
from svckit.cores import usable_cores

PROGRAM = "python -m benchmarks.sizing"
TARGETS = "0,1,3,4,6 2,3,5,6,8 1,4,6,7,8 0,2,3,5,7"
BUDGETS = "macs:0.25 macs:0.12 parameters:0.13"
SHARED = (BudgetKind.MACS.value, BudgetKind.PARAMETERS.value)
"""The kinds of budget that are shares of the full originals."""

SHARING: Mapping[str, Callable[[Market, Order, Sequence[Source]], list[float]]] = {
    "alike": alike,
    "together": together,
}


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
    cases = list(_cases(parsed))
    return {"gains": _gains(cases), "cases": cases}


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


def _cases(parsed: argparse.Namespace) -> Iterator[dict[str, Any]]:
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
                case: dict[str, Any] = {"seed": number, "target": target, "budget": budget}
                for name in SHARING:
                    case[name] = _pack(market, order, target, name, (corpus, store))
                    share = case[name]["accuracy"]
                    progress.finish(f"seed {number}, {target}, {kind} {value}: {name} {share:.4f}")
                yield case


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
    market: Market, order: Order, target: Classes, name: str, tools: tuple[Corpus, FeatureStore]
) -> dict[str, Any]:
    corpus, store = tools
    sources = TASK.sources(target)
    sizes = SHARING[name](market, order, sources)
    graphs = [
        market.fragment(source, order.kind, size)
        for source, size in zip(sources, sizes, strict=True)
    ]
    samples = market.draw.samples(target, INPUT)
    pack = make_pack(graphs, samples.inputs, samples.labels, store, market.draw.seed)
    used = pack.size.macs if order.kind is BudgetKind.MACS else pack.size.parameters
    if used > order.limit:
        raise ValueError(f"{used} are beyond the budget of {order.limit:.0f}")
    rows = corpus.test.rows_of(target)
    right = guesses(pack.graph, {INPUT: corpus.test.read(rows)}, 1)
    return {
        "accuracy": float((right == corpus.test.places(rows, target)).mean()),
        "shares": [round(size, 4) for size in sizes],
        "spent": used / order.limit,
        "parameters": pack.size.parameters,
        "macs": pack.size.macs,
    }


def _gains(cases: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """By budget: mean accuracies, and what planning together wins, with how often it does."""
    found = {}
    for budget in dict.fromkeys(case["budget"] for case in cases):
        those = [case for case in cases if case["budget"] == budget]
        gains = [case["together"]["accuracy"] - case["alike"]["accuracy"] for case in those]
        means = {
            name: statistics.mean(case[name]["accuracy"] for case in those) for name in SHARING
        }
        found[budget] = {
            **means,
            "gain": statistics.mean(gains),
            "least_gain": min(gains),
            "won": sum(gain > 0 for gain in gains),
            "packs": len(gains),
        }
    return found


if __name__ == "__main__":
    sys.exit(main())
