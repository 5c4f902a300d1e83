"""``python -m benchmarks.market``: the market's experiments, a JSON document each.

Left to itself it compares Slice-and-Pack with its neighbours (``compare-T1.json``,
``compare-T3.json``) and measures the search (``search.json``); ``--only WHAT`` runs one experiment,
with options of its own.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks import arguments as take
from benchmarks.market.cloning import main as cloning
from benchmarks.market.comparison.measured import main as comparison
from benchmarks.market.reassembly import main as reassembly
from benchmarks.market.search.measured import main as search

PROGRAM = "python -m benchmarks.market"
EXPERIMENTS: Mapping[str, Callable[[Sequence[str]], int]] = {
    "cloning": cloning,
    "comparison": comparison,
    "reassembly": reassembly,
    "search": search,
}
"""By the name that ``--only`` takes; each reads the rest of the command line."""
LEFT_TO_ITSELF = ("comparison", "search")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the experiment that is named first, or the comparison and the search.

    Args:
        arguments: Of the command line; those of the process where left out.

    Returns:
        The exit code of the first experiment that fails; 2 where an unknown one is named.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] != ["--only"]:
        _parser().parse_args(given)
        codes = (EXPERIMENTS[name](given) for name in LEFT_TO_ITSELF)
        return next((code for code in codes if code), 0)
    if given[1:2] and given[1] in EXPERIMENTS:
        return EXPERIMENTS[given[1]](given[2:])
    known = ", ".join(EXPERIMENTS)
    print(f"usage: {PROGRAM} --only {{{known}}} …", file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    """What all experiments that run together understand."""
    found = argparse.ArgumentParser(
        prog=PROGRAM,
        description=__doc__,
        epilog=f"--only, first of all, names one of {', '.join(EXPERIMENTS)}; then --help tells "
        "its own options",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = found.add_argument
    add("--data", type=Path, required=True, help="folder of CIFAR-10 and CIFAR-100")
    add("--cifar100", type=Path, help="folder of CIFAR-100; that of --data if left out")
    add("--out", type=Path, required=True, help="folder of results; .cache in it is shared by runs")
    add("--threads", type=take.count, help="processor threads; all cores if left out")
    add("--force", action="store_true", help="replace documents that are there")
    return found


if __name__ == "__main__":
    sys.exit(main())
