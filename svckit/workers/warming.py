"""Starts a worker before the first job comes, so that nobody waits for its imports."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Final

import structlog

from svckit.errors import ServiceError
from svckit.workers import preload
from svckit.workers.pool import WorkerPool

_log: Final = structlog.get_logger(__name__)


@asynccontextmanager
async def warming(workers: WorkerPool, entries: Iterable[str]) -> AsyncIterator[None]:
    """Has a worker import the modules of its jobs in the background; a job that comes waits for it.

    Args:
        workers: The pool, whose entries hold `preload.ENTRY`.
        entries: The jobs, as ``package.module:function``.
    """
    modules = sorted({entry.partition(":")[0] for entry in entries})
    task = asyncio.create_task(_warm(workers, modules), name="worker-warming")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _warm(workers: WorkerPool, modules: Sequence[str]) -> None:
    try:
        await workers.run(preload.ENTRY, {"modules": list(modules)})
    except ServiceError as error:
        # The first job will meet the same and tells its client.
        _log.warning("worker_not_warmed", reason=error.reason_name)
