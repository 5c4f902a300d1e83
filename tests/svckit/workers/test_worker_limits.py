"""What happens to jobs that take too much, and to their workers."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from svckit.errors import DeadlineExceeded, ResourceExhausted, Unavailable
from svckit.workers.limits import WorkerLimits
from tests.helpers.worker_pools import NotedPool, gone, job

MIB = 2**20
LIMITS = WorkerLimits(
    address_space_bytes=512 * MIB,
    resident_bytes=400 * MIB,
    cpu_seconds=20,
    file_bytes=MIB,
    wall_seconds=60.0,
)


async def test_a_memory_bomb_is_refused_and_the_worker_lives(pool: NotedPool) -> None:
    pid = (await pool.run(job("echo"), {}))["pid"]
    for _ in range(3):
        with pytest.raises(ResourceExhausted) as caught:
            await pool.run(job("hoard"), {"bytes": 2**40}, limits=LIMITS)
        assert caught.value.reason_name == "WORKER_MEMORY"
        assert caught.value.metadata == {"limit_bytes": str(LIMITS.resident_bytes)}
    assert (await pool.run(job("hoard"), {"bytes": MIB}, limits=LIMITS))["pid"] == pid
    assert pool.deaths == []


@pytest.mark.parametrize("name", ["hoard_in_torch", "hoard_in_onnxruntime"])
async def test_native_allocators_that_run_out_are_told_by_name(pool: NotedPool, name: str) -> None:
    limits = replace(LIMITS, address_space_bytes=2048 * MIB, resident_bytes=2048 * MIB)
    assert await pool.run(job(name), {"bytes": MIB}, limits=limits)
    with pytest.raises(ResourceExhausted) as caught:
        await pool.run(job(name), {"bytes": 8192 * MIB}, limits=limits)
    assert caught.value.reason_name == "WORKER_MEMORY"


async def test_memory_in_use_is_watched_where_the_address_space_is_not_limited(
    pool: NotedPool,
) -> None:
    limits = replace(LIMITS, address_space_bytes=None, resident_bytes=150 * MIB)
    request = {"bytes": 300 * MIB, "seconds": 60}
    with pytest.raises(ResourceExhausted) as caught:
        await pool.run(job("hoard"), request, limits=limits)
    assert caught.value.reason_name == "WORKER_MEMORY"
    assert pool.deaths == ["WORKER_MEMORY"]
    assert await pool.run(job("echo"), {})


async def test_a_native_crash_for_want_of_memory_is_no_accident(pool: NotedPool) -> None:
    with pytest.raises(ResourceExhausted) as caught:
        await pool.run(job("abort_without_memory"), {})
    assert caught.value.reason_name == "WORKER_MEMORY"


async def test_a_job_that_spins_is_ended_by_its_processor_time(pool: NotedPool) -> None:
    limits = replace(LIMITS, cpu_seconds=1)
    for _ in range(3):  # Each job has its own allowance, whatever the worker has used before.
        await pool.run(job("spin"), {"seconds": 0.5}, limits=limits)
    with pytest.raises(ResourceExhausted) as caught:
        await pool.run(job("spin"), {"seconds": 60}, limits=limits)
    assert caught.value.reason_name == "WORKER_CPU_TIME"
    assert caught.value.metadata == {"limit_seconds": "1"}
    assert pool.deaths == ["WORKER_CPU_TIME"]
    assert await pool.run(job("echo"), {})


async def test_a_file_bomb_is_refused_and_the_worker_lives(pool: NotedPool, tmp_path: Path) -> None:
    request = {"path": str(tmp_path / "bomb"), "bytes": 2 * MIB}
    with pytest.raises(ResourceExhausted) as caught:
        await pool.run(job("write_file"), request, limits=LIMITS)
    assert caught.value.reason_name == "WORKER_FILE_SIZE"
    assert (tmp_path / "bomb").stat().st_size <= LIMITS.file_bytes
    assert await pool.run(job("write_file"), request) == {}
    assert pool.deaths == []


async def test_a_full_disk_under_a_job_is_told_as_such(pool: NotedPool) -> None:
    with pytest.raises(ResourceExhausted) as caught:
        await pool.run(job("write_to_full_disk"), {})
    assert caught.value.reason_name == "STORAGE_FULL"


async def test_a_job_that_only_waits_ends_at_its_deadline(pool: NotedPool) -> None:
    with pytest.raises(DeadlineExceeded):
        await pool.run(job("wait"), {}, limits=replace(LIMITS, wall_seconds=0.3))
    assert await pool.run(job("echo"), {})


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
async def test_a_worker_killed_in_the_middle_of_a_job_is_a_typed_error_and_replaced(
    pool: NotedPool, number: signal.Signals
) -> None:
    pids: list[int] = []

    def kill(progress: dict[str, int]) -> None:
        pids.append(progress["pid"])
        os.kill(progress["pid"], number)

    with pytest.raises(Unavailable) as caught:
        await pool.run(job("wait"), {}, on_progress=kill)
    assert caught.value.reason_name == "WORKER_DIED"
    assert caught.value.metadata == {"signal": number.name}
    assert caught.value.retry_seconds is not None
    assert pool.deaths == ["WORKER_DIED"]
    assert (await pool.run(job("echo"), {}))["pid"] not in pids


async def test_a_worker_that_exits_in_the_middle_of_a_job_is_a_typed_error(pool: NotedPool) -> None:
    with pytest.raises(Unavailable) as caught:
        await pool.run(job("exit_at_once"), {})
    assert caught.value.metadata == {"signal": "none", "exit_status": "3"}
    assert await pool.run(job("echo"), {})


async def test_a_worker_killed_between_jobs_is_nobodys_failure(pool: NotedPool) -> None:
    pid = (await pool.run(job("echo"), {}))["pid"]
    os.kill(pid, signal.SIGKILL)
    assert await gone(pid)
    assert (await pool.run(job("echo"), {}))["pid"] != pid
    assert pool.deaths == []
