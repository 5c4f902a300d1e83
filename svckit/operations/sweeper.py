"""Purges operations and request ids that were kept long enough."""

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress

import structlog

from svckit.clock import Clock
from svckit.database import DATABASE_FAULTS
from svckit.operations.store import OperationStore

_log = structlog.stdlib.get_logger(__name__)

# Seconds from one purge to the next; up to a tenth more keeps replicas apart.
_INTERVAL = 3_600.0


class OperationSweeper:
    """Purges at once and then every hour while it is entered as a context manager.

    Args:
        store: The operations.
        clock: Waits.
        jitter: Gives numbers in [0, 1).
    """

    def __init__(
        self, store: OperationStore, clock: Clock, jitter: Callable[[], float] = random.random
    ) -> None:
        self._store = store
        self._clock = clock
        self._jitter = jitter
        self._loop: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "OperationSweeper":
        self._loop = asyncio.create_task(self._run(), name="operation-sweeper")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._loop is not None:
            self._loop.cancel()
            with suppress(asyncio.CancelledError):
                await self._loop

    async def _run(self) -> None:
        while True:
            try:
                purged = await self._store.purge()
            except DATABASE_FAULTS:
                # A full disk or a lost connection passes; the next purge tries again.
                _log.exception("operation_purge_failed")
            else:
                _log.info("operations_purged", count=purged)
            await self._clock.sleep(_INTERVAL * (1 + self._jitter() / 10))
