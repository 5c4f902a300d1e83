"""``python -m benchmarks.paper``: one of the paper's experiments, one JSON document."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence

from benchmarks.paper.bench import Bench
from benchmarks.paper.command_line import experiment_parser, run_once, setting_of
from benchmarks.paper.experiment import run_draw
from benchmarks.paper.result import document
from benchmarks.paper.setting import Setting
from benchmarks.paper.tasks import TASKS

PROGRAM = "python -m benchmarks.paper"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one experiment and writes its document.

    Args:
        arguments: Of the command line; those of the process where left out.

    Returns:
        The exit code of `run_once`.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    parsed = experiment_parser(PROGRAM, str(__doc__)).parse_args(given)

    def run(setting: Setting) -> dict[str, object]:
        bench = Bench.of(setting, TASKS[setting.task])
        found = document(bench, [run_draw(bench, number) for number in range(setting.draws)])
        return {"command": f"{PROGRAM} {shlex.join(given)}"} | found

    return run_once(lambda: setting_of(parsed), run, force=parsed.force)


if __name__ == "__main__":
    sys.exit(main())
