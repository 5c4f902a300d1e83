"""What every service with workers stands on."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from google.protobuf.empty_pb2 import Empty
from sliceandpack.operation.v1.operation_events_pb2 import OperationMetadata

import slicer_svc
from svckit.foundation import open_foundation
from svckit.lifecycle import Runtime
from svckit.operations.job import JobContext
from svckit.server import StartupError
from svckit.settings import ServiceSettings
from svckit.telemetry import Metrics
from tests.helpers.worker_pools import ENTRIES, job

MIGRATIONS = Path(slicer_svc.__file__).parent / "migrations"


async def test_work_that_waits_for_a_worker_shows_in_the_queue_depth(tmp_path: Path) -> None:
    metrics = Metrics()

    def depth() -> float | None:
        labels = {"queue": "workers"}
        return metrics.registry.get_sample_value("sliceandpack_queue_depth", labels)

    async with AsyncExitStack() as resources:
        settings = ServiceSettings(state_dir=tmp_path, workers=1)
        runtime = Runtime(resources, metrics)
        foundation = await open_foundation(settings, runtime, MIGRATIONS, frozenset(ENTRIES))
        await foundation.workers.run(job("echo"), {})
        assert depth() == 0
        cancel = asyncio.Event()
        jobs = [
            asyncio.create_task(foundation.workers.run(job("wait"), {}, cancel=cancel))
            for _ in range(3)
        ]
        await asyncio.sleep(0)
        assert depth() == 2
        cancel.set()
        await asyncio.gather(*jobs, return_exceptions=True)
        assert depth() == 0


async def test_a_state_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    settings = ServiceSettings(state_dir=tmp_path / "file" / "state")
    async with AsyncExitStack() as resources:
        with pytest.raises(StartupError, match=r"Cannot write to .*state \(Not a directory\)"):
            await open_foundation(
                settings, Runtime(resources, Metrics()), MIGRATIONS, frozenset(ENTRIES)
            )


async def test_operations_keep_all_workers_busy_while_others_only_wait(tmp_path: Path) -> None:
    begun, end = asyncio.Semaphore(0), asyncio.Event()

    async def wait(_context: JobContext, request: Empty) -> Empty:
        begun.release()
        await end.wait()
        return request

    async with AsyncExitStack() as resources:
        settings = ServiceSettings(state_dir=tmp_path, workers=4)
        runtime = Runtime(resources, Metrics())
        foundation = await open_foundation(settings, runtime, MIGRATIONS, frozenset(ENTRIES))
        foundation.runner.register("Wait", wait, Empty)
        await resources.enter_async_context(foundation.runner)
        for _ in range(settings.workers + 1):
            await foundation.operations.submit("Wait", Empty(), OperationMetadata(target="-"))
        async with asyncio.timeout(10):
            for _ in range(settings.workers + 1):
                await begun.acquire()
        end.set()
