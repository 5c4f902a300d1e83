"""Time as an effect that comes in from outside, so that tests need not wait for it."""

import asyncio
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time and waits."""

    def now(self) -> datetime:
        """Returns the present instant, aware, in UTC."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Returns once `seconds` have passed on this clock."""
        ...


class SystemClock:
    """The clock of the machine."""

    def now(self) -> datetime:
        """Returns the present instant, aware, in UTC."""
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        """Returns once `seconds` have passed."""
        await asyncio.sleep(seconds)


async def wait_until_set(event: asyncio.Event, clock: Clock, seconds: float) -> bool:
    """Waits for `event`, but not longer than `seconds` on `clock`.

    Returns:
        Whether the event is set.
    """
    if event.is_set() or seconds <= 0:
        # A loop that is late in every turn lets other tasks run all the same.
        await asyncio.sleep(0)
        return event.is_set()
    waits = {asyncio.ensure_future(event.wait()), asyncio.ensure_future(clock.sleep(seconds))}
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
    return event.is_set()
