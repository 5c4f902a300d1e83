"""The queue, cancellation, the end of the pool, and the end of its server."""

import asyncio
import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from svckit.errors import Cancelled, DeadlineExceeded, ResourceExhausted, Unavailable
from svckit.workers.limits import WorkerLimits
from svckit.workers.pool import PoolSettings
from tests.helpers.worker_pools import NotedPool, exists, gone, job


async def waiting(
    pool: NotedPool, cancel: asyncio.Event | None = None
) -> tuple[int, asyncio.Task[dict[str, Any]]]:
    """Starts a job that waits; returns its worker's pid and the task."""
    pid: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(
        pool.run(
            job("wait"), {}, cancel=cancel, on_progress=lambda body: pid.set_result(body["pid"])
        )
    )
    return await pid, task


async def test_a_job_too_many_is_refused_at_once_and_the_others_are_run() -> None:
    async with NotedPool(PoolSettings(size=1, queue=3)) as pool:
        cancel = asyncio.Event()
        _, running = await waiting(pool, cancel)
        queued = [asyncio.create_task(pool.run(job("echo"), {"n": n})) for n in range(3)]
        await asyncio.sleep(0)
        assert pool.queued == 3
        with pytest.raises(ResourceExhausted) as caught:
            await pool.run(job("echo"), {})
        assert caught.value.reason_name == "QUEUE_FULL"
        assert caught.value.metadata == {"limit": "3"}
        assert caught.value.retry_seconds is not None
        cancel.set()
        with pytest.raises(Cancelled):
            await running
        assert [result["n"] for result in await asyncio.gather(*queued)] == [0, 1, 2]
        assert pool.queued == 0


@pytest.mark.parametrize("by", ["event", "task"])
async def test_a_cancelled_job_has_no_process_left(pool: NotedPool, by: str) -> None:
    cancel = asyncio.Event()
    pid, running = await waiting(pool, cancel)
    if by == "event":
        cancel.set()
        with pytest.raises(Cancelled):
            await running
    else:
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert not exists(pid)
    assert pool.deaths == []
    assert (await pool.run(job("echo"), {}))["pid"] != pid


async def test_a_job_is_cancelled_while_it_waits_for_a_worker(pool: NotedPool) -> None:
    pid, running = await waiting(pool)
    cancel = asyncio.Event()
    queued = asyncio.create_task(pool.run(job("echo"), {}, cancel=cancel))
    await asyncio.sleep(0)
    cancel.set()
    with pytest.raises(Cancelled):
        await queued
    assert pool.queued == 0
    assert exists(pid)
    running.cancel()


async def test_a_job_waits_for_a_worker_no_longer_than_it_may_take(pool: NotedPool) -> None:
    await waiting(pool)
    with pytest.raises(DeadlineExceeded):
        await pool.run(job("echo"), {}, limits=WorkerLimits(wall_seconds=0.1))


async def test_closing_ends_jobs_and_workers_and_may_be_repeated() -> None:
    pool = NotedPool(PoolSettings(size=2))
    idle = (await pool.run(job("echo"), {}))["pid"]
    busy, running = await waiting(pool)
    other, second = await waiting(pool)
    queued = asyncio.create_task(pool.run(job("echo"), {}))
    await asyncio.sleep(0)
    await asyncio.gather(pool.close(), pool.close())
    for task in (running, second, queued):
        with pytest.raises(Unavailable) as caught:
            await task
        assert caught.value.reason_name == "SHUTTING_DOWN"
    assert not any(exists(pid) for pid in (idle, busy, other))
    with pytest.raises(Unavailable):
        await pool.run(job("echo"), {})
    await pool.close()


async def test_two_hundred_jobs_leave_nothing_behind() -> None:
    # Other tests of this process may have left servers running for later ones.
    threads, others = set(threading.enumerate()), set(_children())
    async with NotedPool(PoolSettings(size=2, queue=64, jobs_per_worker=40)) as pool:
        await asyncio.gather(*(pool.run(job("echo"), {}) for _ in range(2)))
        before = _open_files()
        results = []
        for _ in range(4):
            batch = (pool.run(job("count"), {"total": 5}) for _ in range(50))
            results += await asyncio.gather(*batch)
        assert len(results) == 200
        assert _open_files() <= before
        assert len(set(_children()) - others) <= 2
        assert pool.deaths == []
    assert set(_children()) <= others
    for thread in _waiting_for_processes() - threads:
        # One that has reaped its process is on its way out.
        await asyncio.to_thread(thread.join, 10.0)
    assert _waiting_for_processes() <= threads
    assert len(asyncio.all_tasks()) == 1


async def test_workers_end_with_a_server_that_is_killed() -> None:
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _SERVER),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert server.stdout is not None
    pids = [int(pid) for pid in (await server.stdout.readline()).split()]
    assert len(pids) == 2
    assert all(exists(pid) for pid in pids)
    server.kill()
    await server.wait()
    for pid in pids:
        assert await gone(pid)


_SERVER = """
import asyncio
from svckit.workers.pool import PoolSettings
from tests.helpers.worker_pools import NotedPool, job

async def main():
    pool = NotedPool(PoolSettings(size=2))
    seen = asyncio.Queue()
    task = asyncio.create_task(pool.run(job("wait"), {}, on_progress=lambda b: seen.put(b["pid"])))
    busy = await seen.get()
    idle = (await pool.run(job("echo"), {}))["pid"]
    print(busy, idle, flush=True)
    await task

asyncio.run(main())
"""


def _waiting_for_processes() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if "waitpid" in thread.name}


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _children() -> list[str]:
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii")
    return children.split()
