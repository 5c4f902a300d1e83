"""The reconciler as a process that runs a Triton of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from serving.client import TritonClient
from serving.errors import ServingError
from tests.helpers.packer import LONG_SECONDS, FakePacker, classifier_pack, serving_packer
from tests.helpers.triton import ROOT, answers, living_children, process_is_alive, samples


@dataclass(frozen=True)
class Running:
    """A reconciler's process and what its ready file says."""

    process: asyncio.subprocess.Process
    facts: dict[str, Any]

    @property
    def triton(self) -> int:
        """The process id of its Triton: its guardian's child."""
        (guardian,) = living_children(self.process.pid)
        (server,) = living_children(guardian)
        return server


@asynccontextmanager
async def reconciler(folder: Path, packer_address: str) -> AsyncIterator[Running]:
    """Starts `python -m serving.reconciler --embedded` and kills it at the end."""
    ready = folder / "ready.json"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "serving.reconciler", "--embedded"),
        *("--state-dir", folder / "state", "--ready-file", ready),
        *("--triton-environment", ROOT / ".triton", "--packer.address", packer_address),
        # A restart is to be nobody's business however long it takes.
        *("--probe-seconds", "0.3", "--grace-seconds", "120", "--log-level", "warning"),
        cwd=ROOT,
    )
    try:
        async with asyncio.timeout(LONG_SECONDS):
            while not ready.exists() and process.returncode is None:  # noqa: ASYNC110 - a file.
                await asyncio.sleep(0.02)
        facts = json.loads(ready.read_text()) if ready.exists() else {}
        yield Running(process, facts)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _answers(client: TritonClient, seed: int) -> None:
    """Waits until the model answers, and rightly."""
    async with asyncio.timeout(LONG_SECONDS):
        while True:
            try:
                got = await client.infer("digits", {"x": samples()}, deadline=10)
                break
            except ServingError:
                await asyncio.sleep(0.05)
    np.testing.assert_allclose(got.outputs["probabilities"], answers(seed, samples()), atol=1e-5)


async def test_a_killed_triton_comes_back_with_every_deployment(tmp_path: Path) -> None:
    packer = FakePacker()  # type: ignore[abstract]  # What it lacks answers UNIMPLEMENTED.
    async with serving_packer(packer) as address, reconciler(tmp_path, address) as running:
        await packer.deploy_and_wait("digits", classifier_pack(1), version=1)
        killed = running.triton
        os.kill(killed, signal.SIGKILL)
        async with TritonClient(running.facts["triton_grpc"]) as client:
            async with asyncio.timeout(LONG_SECONDS):
                while process_is_alive(killed):  # noqa: ASYNC110 - another process's doing.
                    await asyncio.sleep(0.01)
            await _answers(client, seed=1)
        assert running.triton != killed
        assert packer.reports == []


async def test_a_killed_reconciler_starts_again_with_what_it_served_and_no_packer(
    tmp_path: Path,
) -> None:
    packer = FakePacker()  # type: ignore[abstract]  # What it lacks answers UNIMPLEMENTED.
    async with serving_packer(packer) as address:
        async with reconciler(tmp_path, address) as running:
            generation = await packer.deploy("digits", classifier_pack(1), version=1)
            await packer.report("digits", generation)
            triton = running.triton
            running.process.kill()
            await running.process.wait()
        async with asyncio.timeout(LONG_SECONDS):
            while process_is_alive(triton):  # noqa: ASYNC110 - another process's doing.
                await asyncio.sleep(0.01)
    (tmp_path / "ready.json").unlink()
    async with (
        reconciler(tmp_path, address) as running,
        TritonClient(running.facts["triton_grpc"]) as client,
    ):
        await _answers(client, seed=1)


async def test_a_stopped_reconciler_ends_in_order_and_takes_its_triton_along(
    tmp_path: Path,
) -> None:
    packer = FakePacker()  # type: ignore[abstract]  # What it lacks answers UNIMPLEMENTED.
    async with serving_packer(packer) as address, reconciler(tmp_path, address) as running:
        await packer.deploy_and_wait("digits", classifier_pack(1), version=1)
        triton = running.triton
        processes = [triton, *living_children(triton)]
        assert len(processes) == 2
        running.process.terminate()
        assert await running.process.wait() == 0
        assert not any(map(process_is_alive, processes))
        assert not (tmp_path / "ready.json").exists()


async def test_a_second_reconciler_over_the_same_folder_does_not_start(tmp_path: Path) -> None:
    packer = FakePacker()  # type: ignore[abstract]  # What it lacks answers UNIMPLEMENTED.
    async with serving_packer(packer) as address, reconciler(tmp_path, address):
        (tmp_path / "ready.json").unlink()
        async with reconciler(tmp_path, address) as second:
            assert await second.process.wait() == 3
