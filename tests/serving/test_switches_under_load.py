"""Switches while clients call without a pause: not one request may fail."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc.aio

from tests.helpers.packer import FakePacker, classifier_pack, serving_packer
from tests.helpers.reconciler import beside, running_reconciler
from tests.helpers.triton import answers, running_triton, samples

CLIENTS = 2
SEEDS = (1, 2, 3)


async def _calls(address: str, stop: asyncio.Event) -> int:
    """Calls until told to stop, with NVIDIA's client; each answer must be one of the packs'."""
    x = samples(2)
    right = [answers(seed, x) for seed in SEEDS]
    done = 0
    async with tritonclient.grpc.aio.InferenceServerClient(address) as client:
        tensor = tritonclient.grpc.InferInput("x", [2, 4], "FP32")
        tensor.set_data_from_numpy(x)
        while not stop.is_set():
            got = (await client.infer("digits", [tensor])).as_numpy("probabilities")
            assert any(np.allclose(got, each, atol=1e-5) for each in right)
            done += 1
    return done


@pytest.mark.parametrize(
    "switches", [8, pytest.param(200, marks=(pytest.mark.slow, pytest.mark.timeout(600)))]
)
async def test_switches_under_load_fail_no_request(tmp_path: Path, switches: int) -> None:
    packer = FakePacker()  # type: ignore[abstract]  # What it lacks answers UNIMPLEMENTED.
    with running_triton(tmp_path) as running:
        async with (
            serving_packer(packer) as address,
            running_reconciler(address, **beside(running.triton)),
        ):
            await packer.deploy_and_wait("digits", classifier_pack(1), version=1)
            stop = asyncio.Event()
            async with asyncio.TaskGroup() as group:
                callers = [
                    group.create_task(_calls(running.triton.grpc_address, stop))
                    for _ in range(CLIENTS)
                ]
                for version in range(2, switches + 2):
                    pack = classifier_pack(SEEDS[version % len(SEEDS)])
                    generation = await packer.deploy(
                        "digits", pack, version=version, previous=version - 1
                    )
                    report = await packer.report("digits", generation)
                    assert (report.version, report.HasField("error")) == (version, False)
                stop.set()
    assert all(caller.result() > switches for caller in callers)
