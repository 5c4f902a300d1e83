"""The slicer's process as a whole."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sliceandpack.slicer.v1 import models_pb2 as pb

from svckit.clients.artifacts import upload
from tests.helpers.processes import ROOT, ServiceProcess
from tests.helpers.service_errors import facts, refusal_of
from tests.helpers.slicer import (
    SlicerClient,
    runs,
    scratch_of,
    slicer_client,
    slicer_process,
    small_disk,
    until,
    workers_of,
)
from tests.helpers.submissions import CNN, MLP, Arrays, Submission, blobs, npz, submission

DISK_BYTES = 24 * 2**20
MEMORY_BYTES = 540_000_000
HEAVY = ("torch", "onnx", "onnx_ir", "onnxruntime", "scipy", "sklearn", "onnxgraph")
"""Not numpy: searches compare specifications in the server itself."""


def test_the_server_imports_nothing_that_parses_or_runs_a_model() -> None:
    code = (
        "import json, sys, slicer_svc.app;"
        f"print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True, text=True
    )
    assert json.loads(done.stdout) == []


@pytest.fixture(scope="module")
def tight(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """A slicer on a small disk, where that can be made."""
    folder = tmp_path_factory.mktemp("tight")
    with (
        small_disk(folder / "state", DISK_BYTES),
        slicer_process(folder) as process,
    ):
        yield process


async def test_a_worker_starts_before_the_first_job_and_takes_it(tight: ServiceProcess) -> None:
    async def started() -> bool:
        return bool(workers_of(tight))

    await until(started)
    (worker,) = workers_of(tight)
    async with slicer_client(tight.address) as slicer:
        await slicer.submit(submission(MLP))
    assert workers_of(tight) == [worker]


async def test_a_full_disk_is_told_keeps_nothing_and_passes(tight: ServiceProcess) -> None:
    state = tight.folder / "state"
    if not is_mount(state):
        pytest.skip("only root may mount a small file system")
    async with slicer_client(tight.address) as slicer:
        model = await slicer.submit(submission(CNN, width=64), "on-a-full-disk")
        plan = await slicer.plan(model.name)
        # Room for the database's pages, but for no fragment.
        filler = state / "filler"
        filler.write_bytes(bytes(DISK_BYTES - taken(state) - 200 * 1024))
        full = (
            slicer.slice(plan.name),
            upload(slicer.channel, bytes(2**20)),
            slicer.submit(submission(CNN, width=64, seed=1), "too-large"),
        )
        for call in full:
            error = await refusal_of(call)
            assert facts(error) == ("RESOURCE_EXHAUSTED", "STORAGE_FULL")
        assert await slicer.fragments(model.name) == []
        assert "models/too-large" not in await names(slicer)
        assert scratch_of(tight) == []
        assert await slicer.is_serving()
        filler.unlink()
        assert len(await slicer.slice(plan.name)) == len(model.labels)


async def test_a_restart_finds_all_that_was_kept(tight: ServiceProcess) -> None:
    async with slicer_client(tight.address) as slicer:
        model = await slicer.submit(submission(MLP))
        plan = await slicer.plan(model.name)
        fragments = await slicer.slice(plan.name)
        workers = workers_of(tight)
        assert tight.stop() == 0
        assert not any(map(runs, workers))
        tight.start()
        assert await slicer.call("GetModel", pb.GetModelRequest(name=model.name)) == model
        assert await slicer.call("GetPlan", pb.GetPlanRequest(name=plan.name)) == plan
        assert await slicer.slice(plan.name) == fragments


async def test_a_job_that_wants_more_memory_than_it_may_is_ended_typed(tmp_path: Path) -> None:
    with slicer_process(tmp_path, f"--worker-memory-bytes={MEMORY_BYTES}") as process:
        async with slicer_client(process.address) as slicer:
            error = await refusal_of(slicer.submit(hungry(), "hungry"))
            assert facts(error) == ("RESOURCE_EXHAUSTED", "WORKER_MEMORY")
            assert error.metadata["limit_bytes"] == str(MEMORY_BYTES)
            assert "models/hungry" not in await names(slicer)
            assert scratch_of(process) == []
            assert await slicer.is_serving()


async def names(slicer: SlicerClient) -> set[str]:
    """The names of all models."""
    page = await slicer.call("ListModels", pb.ListModelsRequest(page_size=1000))
    return {model.name for model in page.models}


def is_mount(folder: Path) -> bool:
    """Whether a folder is a file system of its own."""
    return folder.is_mount()


def hungry() -> Submission:
    """A submission whose samples, small as they came, take 240 MB for as long as they are run."""
    few = blobs(classes=3, per_class=8)
    many: Arrays = {name: np.concatenate([array] * 40_000) for name, array in few.items()}
    return replace(submission(CNN), samples=npz(many, level=1))


def taken(folder: Path) -> int:
    """The bytes that the files of a folder take on its disk."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())
