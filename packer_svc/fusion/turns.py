"""Processor time of several things done in turns, on a machine that does others besides."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

Name = TypeVar("Name", bound=str)

FEW, MOST = 3, 9
"""Turns. The first run of a size, which sets memory aside, is never the least."""

NEAR = 1.02
"""The least time stands when the next one is as near: it was no accident, nor is it beaten."""

LONG_SECONDS = 1.0
"""When all turns have taken this, there are no more: what long runs are off by does not matter."""


def least_times(
    runs: Mapping[Name, Callable[[], object]], *, few: int = FEW, most: int = MOST
) -> dict[Name, float]:
    """The least processor time in seconds of each run, by turns.

    Processor time leaves out what others do on the machine, but not what they do to its caches and
    clock; those fall on all runs alike, and there are more turns as long as they show.

    Args:
        runs: What is timed, by any name; it does all its work on the calling thread.
        few: Turns where nothing disturbs.
        most: Turns at most.
    """
    found: dict[Name, list[float]] = {name: [] for name in runs}
    begun = time.thread_time()
    for turn in range(1, most + 1):
        for name, run in runs.items():
            start = time.thread_time()
            run()
            found[name].append(time.thread_time() - start)
        if time.thread_time() - begun > LONG_SECONDS:
            break
        if turn >= few and all(_stands(times) for times in found.values()):
            break
    return {name: min(times) for name, times in found.items()}


def _stands(times: Sequence[float]) -> bool:
    least, *more = sorted(times)
    return bool(more) and more[0] <= NEAR * least
