"""Workers compute where they were asked to, or the process does not start."""

from __future__ import annotations

import pytest

from svckit.devices import known_device
from svckit.server import StartupError
from svckit.settings import Device
from svckit.telemetry import Metrics
from svckit.workers.pool import PoolSettings
from tests.helpers.worker_pools import NotedPool, job

PLACES = {
    "cpu": {"torch": "cpu", "onnxruntime": "CPUExecutionProvider"},
    "cuda": {"torch": "cuda", "onnxruntime": "CUDAExecutionProvider"},
}


def shown(metrics: Metrics, library: str, provider: str) -> float | None:
    labels = {"library": library, "provider": provider}
    return metrics.registry.get_sample_value("sliceandpack_execution_provider", labels)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
async def test_a_device_that_is_there_is_shown(device: Device) -> None:
    metrics = Metrics()
    async with (
        NotedPool(PoolSettings()) as pool,
        known_device(pool, job(f"computes_on_{device}"), device, metrics),
    ):
        for library, provider in PLACES[device].items():
            assert shown(metrics, library, provider) == 1


@pytest.mark.parametrize(
    ("wanted", "there", "advice"),
    [
        ("cuda", "cpu", "NVIDIA driver"),
        ("cuda", "half_of_cuda", "onnxruntime-gpu in the place of onnxruntime"),
        ("cpu", "cuda", "CPU builds of torch"),
    ],
)
async def test_another_device_is_refused_with_advice(
    wanted: Device, there: str, advice: str
) -> None:
    async with NotedPool(PoolSettings()) as pool:
        with pytest.raises(StartupError, match=f"asked for is {wanted}.*{advice}"):
            async with known_device(pool, job(f"computes_on_{there}"), wanted, Metrics()):
                pass


async def test_workers_that_cannot_compute_are_refused() -> None:
    async with NotedPool(PoolSettings()) as pool:
        with pytest.raises(StartupError, match="No worker could tell"):
            async with known_device(pool, job("fail"), "cpu", Metrics()):
                pass


async def test_nobody_waits_for_a_device_that_nobody_asked_for() -> None:
    metrics = Metrics()
    async with NotedPool(PoolSettings()) as pool:
        async with known_device(pool, job("wait"), "auto", metrics):
            pass
        async with known_device(pool, job("fail"), "auto", metrics):
            pass


async def test_gpus_are_hidden_from_workers_that_are_to_compute_on_the_processor() -> None:
    for gpus, seen in ((True, None), (False, "")):
        async with NotedPool(PoolSettings(gpus=gpus)) as pool:
            found = await pool.run(job("inspect"), {})
            assert found["environment"].get("CUDA_VISIBLE_DEVICES") == seen
