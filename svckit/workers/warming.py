"""Starts a worker before the first job comes, so that nobody waits for its imports."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog

from svckit.errors import ServiceError
from svckit.workers.pool import WorkerPool

_log: Final = structlog.get_logger(__name__)


@asynccontextmanager
async def warming(workers: WorkerPool, entry: str) -> AsyncIterator[None]:
    """Has a worker run an entry in the background; a job that comes meanwhile runs after it.

    Args:
        workers: The pool.
        entry: A job that takes an empty request, and whose module imports what other jobs need.
    """
    task = asyncio.create_task(_warm(workers, entry), name="worker-warming")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _warm(workers: WorkerPool, entry: str) -> None:
    try:
        await workers.run(entry, {})
    except ServiceError as error:
        # The first job will meet the same and tells its client.
        _log.warning("worker_not_warmed", reason=error.reason_name)
