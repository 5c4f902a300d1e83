"""``python -m benchmarks.market``: experiments over a market of models, one by its name."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks import arguments as take
from benchmarks.market import reassembly
from benchmarks.paper.command_line import write_measured
from svckit.cores import usable_cores

PROGRAM = "python -m benchmarks.market"
EXPERIMENTS: Mapping[str, Callable[[argparse.Namespace], Mapping[str, object]]] = {
    "reassembly": reassembly.measured
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs an experiment and writes ``OUT/NAME.json``.

    Args:
        arguments: Of the command line; those of the process where left out.

    Returns:
        The exit code of `write_measured`.
    """
    return write_measured(
        _parser(),
        arguments,
        lambda parsed: EXPERIMENTS[parsed.only](parsed),
        lambda parsed: f"{parsed.only}.json",
    )


def _parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(prog=PROGRAM, description=__doc__)
    add = found.add_argument
    add("--only", choices=sorted(EXPERIMENTS), required=True, help="which experiment")
    add("--data", type=Path, required=True, help="folder of CIFAR-10")
    add("--out", type=Path, required=True, help="folder of results; .cache in it is shared by runs")
    add("--seeds", type=take.count, default=3, help="markets and draws of samples")
    add("--k", type=take.count, default=20, help="samples of each class")
    add("--per-class", type=take.count, default=300, help="test pictures of each class")
    add("--budget-params", type=take.share, default=0.3, help="share of the largest model's")
    add("--threads", type=take.count, default=usable_cores(), help="of training and measuring")
    add("--force", action="store_true", help="replace a document that is there")
    return found


if __name__ == "__main__":
    sys.exit(main())
