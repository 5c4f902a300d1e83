"""``python -m benchmarks.report OUT --to DIR``: tables and figures from the documents of runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.report.documents import DocumentsError, read_markets, read_runs
from benchmarks.report.figures import figure_4, figure_6, figure_7, figure_8
from benchmarks.report.tables import differences, table_2, table_5


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes ``tables.md`` and the figures.

    Args:
        arguments: Of the command line; those of the process where left out.

    Returns:
        The exit code: 1 where there is no document.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    parser.add_argument("out", type=Path, help="folder that benchmarks.paper wrote to")
    parser.add_argument("--to", required=True, type=Path, help="folder of tables and figures")
    parsed = parser.parse_args(arguments)
    try:
        runs = read_runs(parsed.out)
    except DocumentsError as error:
        print(error, file=sys.stderr)
        return 1
    parsed.to.mkdir(parents=True, exist_ok=True)
    tables = parsed.to / "tables.md"
    text = "\n".join([table_2(runs), table_5(runs), differences(runs)])
    tables.write_text(text, encoding="utf-8")
    written = [
        tables,
        *figure_4(runs, parsed.to),
        *figure_6(read_markets(parsed.out), parsed.to),
        *figure_7(runs, parsed.to),
        *figure_8(runs, parsed.to),
    ]
    for path in written:
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
