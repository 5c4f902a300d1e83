"""Worker pools over the jobs of `tests.helpers.worker_jobs`."""

import asyncio
import inspect
from pathlib import Path

from svckit.workers.pool import PoolSettings, WorkerPool
from tests.helpers import worker_jobs

ENTRIES = [
    f"{worker_jobs.__name__}:{name}"
    for name, function in inspect.getmembers(worker_jobs, inspect.isfunction)
    if list(inspect.signature(function).parameters) == ["request", "report"]
]
"""All jobs there are."""


class NotedPool(WorkerPool):
    """A pool that can run every job of `worker_jobs` by its bare name and notes deaths.

    Attributes:
        deaths: The reasons given to ``on_death``.
    """

    def __init__(self, settings: PoolSettings) -> None:
        self.deaths: list[str] = []
        super().__init__(ENTRIES, settings, on_death=self.deaths.append)


def job(name: str) -> str:
    """Returns the entry of a job."""
    return f"{worker_jobs.__name__}:{name}"


def exists(pid: int) -> bool:
    """Tells whether a process runs; one that has ended and is not yet reaped does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


async def gone(pid: int, seconds: float = 10.0) -> bool:
    """Waits until a process has ended; tells whether it has."""
    for _ in range(int(seconds * 100)):
        if not exists(pid):
            return True
        await asyncio.sleep(0.01)
    return False
