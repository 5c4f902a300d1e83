"""``python -m benchmarks.market_expansion``: how many packs a market of models offers (Figure 6).

rate(ε) = share of random packs, one class of each of T3's five origins, whose error is at most ε,
times the number of such packs over the number of origins: 20⁵ / 5 = 640,000 at most.
"""

from __future__ import annotations

import math
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from benchmarks.paper.bench import Bench
from benchmarks.paper.command_line import experiment_parser, run_once, setting_of
from benchmarks.paper.experiment import run_draw
from benchmarks.paper.result import document
from benchmarks.paper.setting import Setting
from benchmarks.paper.tasks import TASKS, Task

PROGRAM = "python -m benchmarks.market_expansion"
PACKS = 100
ERRORS = tuple(number / 50 for number in range(51))
"""ε for which the rate is kept."""

LEFT_OUT = ("unit_overlap", "kept_units", "grains")
"""Of a document: what says nothing about a market and grows with its classes."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Makes random packs, measures their errors and writes the document.

    Args:
        arguments: Of the command line; those of the process where left out.

    Returns:
        The exit code of `run_once`.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = experiment_parser(PROGRAM, str(__doc__))
    parser.set_defaults(baselines="none")
    parser.add_argument("--packs", type=int, default=PACKS, help="random packs")
    parsed = parser.parse_args(given)

    def run(setting: Setting) -> dict[str, object]:
        task = with_random_targets(TASKS[setting.task], parsed.packs, setting.seed)
        bench = Bench.of(setting, task)
        found = document(bench, [run_draw(bench, number) for number in range(setting.draws)])
        kept = {name: value for name, value in found.items() if name not in LEFT_OUT}
        errors = [1 - share for share in found["accuracy_by_target"]]
        curve = {"errors": ERRORS, "rates": [rate(errors, task, least) for least in ERRORS]}
        return {"command": f"{PROGRAM} {shlex.join(given)}"} | kept | {"market": curve}

    def asked() -> Setting:
        if parsed.packs <= 0:
            raise ValueError("--packs has to be above 0")
        return replace(setting_of(parsed), prefix="market-")

    return run_once(asked, run, force=parsed.force)


def with_random_targets(task: Task, packs: int, seed: int) -> Task:
    """The same origins with packs of one class of each, drawn one by one."""
    random = np.random.default_rng(seed)
    targets = tuple(
        tuple(int(random.choice(classes)) for classes in task.origins) for _ in range(packs)
    )
    return replace(task, targets=targets)


def rate(errors: Sequence[float], task: Task, most: float) -> float:
    """The market's expansion at an error ε.

    Args:
        errors: Of random packs.
        task: Whose origins they are made of.
        most: ε.
    """
    share = float(np.mean(np.asarray(errors) <= most))
    return share * math.prod(len(classes) for classes in task.origins) / len(task.origins)


if __name__ == "__main__":
    sys.exit(main())
