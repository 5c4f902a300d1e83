"""The slicer's process as a whole."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sliceandpack.slicer.v1 import models_pb2 as pb

from svckit.clients.artifacts import upload
from tests.helpers.processes import ROOT
from tests.helpers.service_errors import facts, refusal_of
from tests.helpers.slicer import (
    runs,
    scratch_of,
    slicer_client,
    slicer_process,
    small_disk,
    until,
    workers_of,
)
from tests.helpers.submissions import CNN, MLP, Submission, submission

DISK_BYTES = 24 * 2**20
HEAVY = ("torch", "numpy", "onnx", "onnx_ir", "onnxruntime", "scipy", "sklearn", "onnxgraph")


def test_the_server_imports_nothing_that_parses_or_runs_a_model() -> None:
    code = (
        "import json, sys, slicer_svc.app;"
        f"print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True, text=True
    )
    assert json.loads(done.stdout) == []


async def test_a_worker_is_warm_and_limited_and_a_restart_finds_all_that_was_kept(
    tmp_path: Path,
) -> None:
    with slicer_process(tmp_path, "--worker-memory-bytes=540000000") as process:

        async def started() -> bool:
            return bool(workers_of(process))

        await until(started)
        (worker,) = workers_of(process)
        async with slicer_client(process.address) as slicer:
            model = await slicer.submit(submission(MLP))
            plan = await slicer.plan(model.name)
            fragments = await slicer.slice(plan.name)
            assert workers_of(process) == [worker]
            error = await refusal_of(slicer.submit(hungry(), "hungry"))
            assert facts(error) == ("RESOURCE_EXHAUSTED", "WORKER_MEMORY")
            assert await slicer.is_serving()
            page = await slicer.call("ListModels", pb.ListModelsRequest())
            assert list(page.models) == [model]
            assert process.stop() == 0
            assert not runs(worker)
            process.start()
            assert await slicer.call("GetModel", pb.GetModelRequest(name=model.name)) == model
            assert await slicer.call("GetPlan", pb.GetPlanRequest(name=plan.name)) == plan
            assert await slicer.slice(plan.name) == fragments


async def test_a_full_disk_is_told_keeps_nothing_and_passes(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with small_disk(state, DISK_BYTES) as allowed:
        if not allowed:
            pytest.skip("only root may mount a small file system")
        with slicer_process(tmp_path) as process:
            async with slicer_client(process.address) as slicer:
                model = await slicer.submit(submission(CNN, width=64))
                plan = await slicer.plan(model.name)
                # Room for the database's pages, but for no fragment.
                filler = state / "filler"
                filler.write_bytes(bytes(DISK_BYTES - taken(state) - 200 * 1024))
                full = (
                    slicer.slice(plan.name),
                    upload(slicer.channel, bytes(2**20)),
                    slicer.submit(submission(CNN, width=64, seed=1), "on-a-full-disk"),
                )
                for call in full:
                    error = await refusal_of(call)
                    assert facts(error) == ("RESOURCE_EXHAUSTED", "STORAGE_FULL")
                assert await slicer.fragments(model.name) == []
                page = await slicer.call("ListModels", pb.ListModelsRequest())
                assert list(page.models) == [model]
                assert scratch_of(process) == []
                assert await slicer.is_serving()
                filler.unlink()
                assert len(await slicer.slice(plan.name)) == len(model.labels)


def hungry() -> Submission:
    """A submission whose samples, small as they came, take 240 MB."""
    count = 940_000
    buffer = io.BytesIO()
    x = np.zeros((count, 1, 8, 8), np.float32)
    np.savez_compressed(buffer, x=x, labels=np.arange(count) % 3)
    return replace(submission(MLP), samples=buffer.getvalue())


def taken(folder: Path) -> int:
    """The bytes that the files of a folder take on its disk."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())
