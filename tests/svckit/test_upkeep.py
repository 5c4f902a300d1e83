"""Work that is done again and again beside the calls."""

from __future__ import annotations

import asyncio

import pytest
from sliceandpack.error.v1 import error_reason_pb2 as reasons

from svckit.errors import Unavailable
from svckit.upkeep import Upkeep
from tests.helpers.clock import ManualClock
from tests.helpers.operations import eventually

HOUR = 3600.0
AWAY = Unavailable(
    reasons.ERROR_REASON_SLICER_UNAVAILABLE, "The slicer is away.", advice="Try again."
)


class Work:
    """Counts its calls, and fails as it is told."""

    def __init__(self, *failures: Exception) -> None:
        self.calls = 0
        self._failures = list(failures)

    async def __call__(self) -> None:
        self.calls += 1
        if self._failures:
            raise self._failures.pop(0)


async def test_work_is_done_at_once_and_at_intervals_until_it_is_left() -> None:
    clock, work = ManualClock(), Work()
    async with Upkeep("tidying", work, HOUR, clock):
        for count in (1, 2, 3):
            await until(work, count)
            await clock.advance(HOUR - 1)
            assert work.calls == count
            await clock.advance(HOUR / 10 + 1)
        await until(work, 4)
    await clock.advance(2 * HOUR)
    assert work.calls == 4


@pytest.mark.parametrize(
    "failure", [AWAY, OSError("the disk is full"), ValueError("a fault of ours")], ids=type
)
async def test_work_that_failed_is_done_again(failure: Exception) -> None:
    clock, work = ManualClock(), Work(failure)
    async with Upkeep("tidying", work, HOUR, clock):
        await until(work, 1)
        await clock.advance(1.1 * HOUR)
        await until(work, 2)


async def test_who_wakes_it_need_not_wait() -> None:
    work = Work()
    async with Upkeep("tidying", work, HOUR, ManualClock()) as upkeep:
        await until(work, 1)
        upkeep.wake()
        await until(work, 2)


async def until(work: Work, count: int) -> None:
    async def reached() -> bool:
        return work.calls >= count

    await eventually(reached)
    # The loop goes on to its pause.
    for _ in range(5):
        await asyncio.sleep(0)
