"""Measures the laptop profile's containers from start to ready: ``make image-startup``.

Each round is an installation of its own over empty volumes, all pods started at once, as on a
laptop; a container is ready when the probes of its manifest pass.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.helpers.release.release import Release, laptop_profile

Figures = Mapping[str, tuple[float, float]]
"""Seconds and processor seconds of each container."""


def main() -> None:
    """Runs the rounds and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m tests.deploy.startup")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--drop-caches",
        action="store_true",
        help="read images from the disk anew in each round, as after a reboot (needs root)",
    )
    options = parser.parse_args()
    rounds = []
    for number in range(options.rounds):
        if options.drop_caches:
            os.sync()
            Path("/proc/sys/vm/drop_caches").write_text("3")
        rounds.append(measured(number))
        sys.stderr.write(f"round {number + 1} of {options.rounds}\n")
    sys.stdout.write(table(rounds))


def measured(number: int) -> Figures:
    """Installs once and takes everything away again."""
    release = Release(laptop_profile(), f"startup-{os.getpid()}-{number}")
    try:
        release.up()
        return {
            name: (seconds, pod.container(name).cpu_seconds())
            for pod in release.pods.values()
            for name, seconds in pod.ready_seconds.items()
        }
    finally:
        release.down()


def table(rounds: Sequence[Figures]) -> str:
    """Returns the figures as lines of text."""
    figures: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for found in rounds:
        for name, pair in found.items():
            figures[name].append(pair)
    lines = [f"{'':12}{'seconds until ready':>24}{'of processor time':>24}"]
    lines.append(f"{'':12}{'median':>14}{'worst':>10}{'median':>14}{'worst':>10}")
    for name, pairs in figures.items():
        cells = "".join(
            f"{statistics.median(column):14.1f}{max(column):10.1f}"
            for column in zip(*pairs, strict=True)
        )
        lines.append(f"{name:12}{cells}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
