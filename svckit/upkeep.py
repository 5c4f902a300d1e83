"""Work that is done again and again beside the calls: tidying up, and what a crash left behind."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Self

import structlog

from svckit.clock import Clock, wait_until_set
from svckit.errors import ServiceError

_log = structlog.stdlib.get_logger(__name__)


class Upkeep:
    """Calls a function at once and then at intervals, as long as it is entered.

    An async context manager. A call that fails is logged; the next one tries again.

    Args:
        name: What it does, for the log.
        work: Does it.
        seconds: The time from one call to the next; up to a tenth more is added at random.
        clock: Waits.
    """

    def __init__(
        self, name: str, work: Callable[[], Awaitable[object]], seconds: float, clock: Clock
    ) -> None:
        self._name = name
        self._work = work
        self._seconds = seconds
        self._clock = clock
        self._woken = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._loop = asyncio.create_task(self._run(), name=self._name)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._loop is not None:
            self._loop.cancel()
            with suppress(asyncio.CancelledError):
                await self._loop

    def wake(self) -> None:
        """Makes the next call now."""
        self._woken.set()

    async def _run(self) -> None:
        while True:
            self._woken.clear()
            try:
                await self._work()
            except ServiceError as error:
                # Another service that is away passes.
                _log.warning("upkeep_failed", work=self._name, reason=error.reason_name)
            except Exception:
                # So does a full disk or a locked database; a fault of ours must not end the loop.
                _log.exception("upkeep_failed", work=self._name)
            pause = self._seconds * random.uniform(1.0, 1.1)  # noqa: S311
            await wait_until_set(self._woken, self._clock, pause)
