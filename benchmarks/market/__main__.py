"""``python -m benchmarks.market --only WHAT``: one experiment of the market, one JSON document."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence

from benchmarks.market.cloning import main as cloning
from benchmarks.market.reassembly import main as reassembly
from benchmarks.market.search.measured import main as search

EXPERIMENTS: Mapping[str, Callable[[Sequence[str]], int]] = {
    "cloning": cloning,
    "reassembly": reassembly,
    "search": search,
}
"""By the name that ``--only`` takes; each reads the rest of the command line."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the experiment that is named first.

    Args:
        arguments: Of the command line; those of the process where left out.

    Returns:
        The experiment's exit code; 2 where none is named.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if len(given) < 2 or given[0] != "--only" or given[1] not in EXPERIMENTS:
        known = ", ".join(EXPERIMENTS)
        print(f"usage: python -m benchmarks.market --only {{{known}}} …", file=sys.stderr)
        return 2
    return EXPERIMENTS[given[1]](given[2:])


if __name__ == "__main__":
    sys.exit(main())
