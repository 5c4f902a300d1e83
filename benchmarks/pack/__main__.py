"""``python -m benchmarks.pack``: how long packing takes, and the packer's head against the paper's.

Times are those of a running slicer and packer by their own clients; accuracies are those of packs
of the same fragments, on test examples that nothing else has seen.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import arguments as take
from benchmarks.pack.accuracy import accuracies, head_seconds
from benchmarks.pack.seconds import FEW, measure
from benchmarks.paper.bench import Bench
from benchmarks.paper.command_line import FAILURES, write_measured
from benchmarks.paper.setting import Setting
from benchmarks.paper.tasks import TASKS
from packer_svc.fusion.heads.spec import HeadKind
from slicer_svc.slicing.recipe import Recipe
from svckit.cores import usable_cores

PROGRAM = "python -m benchmarks.pack"
COMPARED = ("T1", "T6", "T7")
MOST_REPEATS = 8
"""Every repetition adds another of the classes that a pack of many has not."""


@dataclass(frozen=True)
class Case:
    """A task whose heads are compared.

    Attributes:
        task: Its name.
        arch: The origins' architecture.
        recipe: How they are sliced.
        draws: Draws of the samples.
    """

    task: str
    arch: str
    recipe: Recipe
    draws: int = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and writes ``pack.json``.

    Args:
        arguments: Of the command line; those of the process where left out.

    Returns:
        The exit code of `write_measured`.
    """
    # The services' commands tell what they met as a RuntimeError.
    failures = (*FAILURES, RuntimeError)
    return write_measured(_parser(), arguments, _measured, "pack.json", failures)


def _parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(prog=PROGRAM, description=__doc__)
    add = found.add_argument
    add("--data", type=Path, required=True, help="folder of CIFAR-10")
    add("--text-data", type=Path, help="folder of TREC and SST-5; that of --data if left out")
    add("--out", type=Path, required=True, help="folder of results; .cache in it is shared by runs")
    add(
        "--tasks",
        type=take.listed(take.one_of(COMPARED)),
        default=COMPARED,
        metavar=",".join(COMPARED),
        help="whose targets' heads are compared; all if left out",
    )
    add("--width", type=take.factor, default=0.5, help="factor on the channels of T1's origins")
    add("--k", type=take.count, default=20, help="samples of each class")
    add("--budget-macs", type=take.share, default=0.25, help="share of the MACs of T1's origins")
    add("--block", type=take.count, default=16, help="their channels are kept in multiples of this")
    add(
        "--seed",
        type=take.seed,
        default=0,
        help="of origins and draws; times take seed + 1 as well",
    )
    add(
        "--draws", type=take.count, default=12, help="draws of the samples of text, one of pictures"
    )
    add(
        "--repeats",
        type=int,
        choices=range(1, MOST_REPEATS + 1),
        default=5,
        help="packs of each kind; the median is told",
    )
    add("--threads", type=take.count, default=usable_cores(), help="of training and slicing")
    add("--force", action="store_true", help="replace a document that is there")
    return found


def _measured(parsed: argparse.Namespace) -> dict[str, object]:
    pictures = Recipe(budget_macs=parsed.budget_macs, block=parsed.block)
    cases = {
        "T1": Case("T1", "vgg16", pictures),
        "T6": Case("T6", "rnn", Recipe(budget_params=0.43, block=1), parsed.draws),
        "T7": Case("T7", "cnn", Recipe(budget_params=0.49, block=1), parsed.draws),
    }
    own: dict[str, float] = {}
    papers: dict[str, float] = {}
    for name in parsed.tasks:
        for target, heads in accuracies(_bench(parsed, cases[name], parsed.seed)).items():
            own[target], papers[target] = heads[HeadKind.CLOSED_FORM], heads[HeadKind.PAPER]
    benches = [_bench(parsed, cases["T1"], parsed.seed + number) for number in range(2)]
    size = ("--budget-macs", str(parsed.budget_macs), "--block", str(parsed.block))
    with tempfile.TemporaryDirectory() as folder:
        seconds = measure(benches, Path(folder), size, parsed.repeats)
    return {
        "create_pack_seconds": seconds.create,
        "head_seconds": head_seconds(benches[0], FEW),
        "add_class_seconds": seconds.add,
        "accuracy": own,
        "paper_head_accuracy": papers,
    }


def _bench(parsed: argparse.Namespace, case: Case, seed: int) -> Bench:
    text = case.task != "T1"
    setting = Setting(
        task=case.task,
        arch=case.arch,
        k=parsed.k,
        slicing=case.recipe,
        data=(parsed.text_data or parsed.data) if text else parsed.data,
        out=parsed.out,
        method="closed_form",
        width=1.0 if text else parsed.width,
        seed=seed,
        draws=case.draws,
        baselines=(),
        threads=parsed.threads,
    )
    return Bench.of(setting, TASKS[case.task])


if __name__ == "__main__":
    sys.exit(main())
