"""``python -m benchmarks.ablations``: what each choice of the default way of slicing is worth.

T1, one lever at a time against the default, on the same origins, samples, heads and test images.
Writes ``ablations.json`` in ``--out`` and prints a table; what was computed before by the same code
is taken from ``.cache`` in ``--out``, so that a run that was interrupted goes on.
"""

from __future__ import annotations

import argparse
import math
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.ablations.counts import Budget
from benchmarks.ablations.levers import LEVERS
from benchmarks.ablations.result import document, table
from benchmarks.ablations.run import Asked, measured
from benchmarks.ablations.variant import BLOCK
from benchmarks.paper.bench import SettingError
from benchmarks.paper.images import DataMissingError
from benchmarks.paper.result import device
from benchmarks.paper.samples import TooFewExamplesError
from benchmarks.paper.storage import save_json
from slicer_svc.slicing.errors import SlicingError
from svckit.cores import usable_cores

PROGRAM = "python -m benchmarks.ablations"
TARGET = "ablations.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Tries the levers, writes the document and prints the table.

    Args:
        arguments: Of the command line; those of the process where left out.

    Returns:
        The exit code: 0, or 1 where the run cannot be made.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    parsed = _parser().parse_args(given)
    try:
        asked = _asked(parsed)
        torch.set_num_threads(asked.threads)
        found = document(measured(asked), asked.levers, [str(one) for one in asked.budgets])
    except (ValueError, SlicingError, SettingError, DataMissingError, TooFewExamplesError) as error:
        print(error, file=sys.stderr)
        return 1
    about = {
        "command": f"{PROGRAM} {shlex.join(given)}",
        "task": asked.task,
        "arch": asked.arch,
        "k": asked.k,
        "width": asked.width,
        "seeds": list(asked.seeds),
        "draws": asked.draws,
        "block": asked.block,
        "device": device(asked.threads),
    }
    save_json(asked.out / TARGET, about | found)
    for line in table(found):
        print(line)
    return 0


def _parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(prog=PROGRAM, description=__doc__)
    add = found.add_argument
    add("--data", required=True, type=Path, help="folder of the data sets")
    add("--out", required=True, type=Path, help="folder of results; .cache in it is shared by runs")
    add("--arch", default="vgg16", choices=["vgg16", "resnet34"])
    add("--k", type=int, default=20, help="samples of each class")
    add("--width", type=float, default=0.5, help="factor on the origins' channels")
    add("--seeds", default="0,1,2", help="of origins and draws")
    add("--draws", type=int, default=1, help="draws of the samples")
    add("--budget-macs", default="0.25,0.12", help="shares of the MACs; empty for none")
    add("--budget-params", default="", help="shares of the parameters")
    add("--block", type=int, default=BLOCK, help="units are kept in multiples of this")
    add("--levers", default=",".join(LEVERS), help="some of " + ",".join(LEVERS))
    add("--threads", type=int, default=usable_cores(), help="processor threads")
    return found


def _asked(parsed: argparse.Namespace) -> Asked:
    """What a command line asks for.

    Raises:
        ValueError: A number is out of range, or a lever unknown.
    """
    for name in ("k", "draws", "threads", "width", "block"):
        if not 0 < getattr(parsed, name) < math.inf:
            raise ValueError(f"--{name} has to be above 0 and finite")
    levers = tuple(dict.fromkeys(_listed(parsed.levers)))
    unknown = sorted(set(levers) - set(LEVERS))
    if unknown:
        raise ValueError(f"there is no lever called {', '.join(unknown)}: {', '.join(LEVERS)}")
    budgets = [Budget("macs", float(share)) for share in _listed(parsed.budget_macs)]
    budgets += [Budget("params", float(share)) for share in _listed(parsed.budget_params)]
    if not budgets or not all(0 < budget.share <= 1 for budget in budgets):
        raise ValueError("a budget has to be given, and be above 0 and at most 1")
    seeds = tuple(dict.fromkeys(int(seed) for seed in _listed(parsed.seeds)))
    if not seeds or min(seeds) < 0:
        raise ValueError("--seeds has to name at least one, none below 0")
    return Asked(
        data=parsed.data,
        out=parsed.out,
        arch=parsed.arch,
        k=parsed.k,
        width=parsed.width,
        seeds=seeds,
        draws=parsed.draws,
        budgets=tuple(budgets),
        levers=levers,
        threads=parsed.threads,
        block=parsed.block,
    )


def _listed(text: str) -> list[str]:
    return [part for part in text.split(",") if part]


if __name__ == "__main__":
    sys.exit(main())
