"""Sees at the start that workers compute where they were asked to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import structlog

from svckit.errors import ServiceError
from svckit.server import StartupError
from svckit.settings import Device
from svckit.telemetry import Metrics
from svckit.workers.pool import WorkerPool

_log: Final = structlog.get_logger(__name__)
_WANTED: Final[Mapping[Device, Mapping[str, str]]] = {
    "cpu": {"torch": "cpu", "onnxruntime": "CPUExecutionProvider"},
    "cuda": {"torch": "cuda", "onnxruntime": "CUDAExecutionProvider"},
}
_ADVICE: Final[Mapping[Device, str]] = {
    "cpu": "Install the CPU builds of torch and ONNX Runtime, or set device to cuda.",
    "cuda": (
        "Take a machine with an NVIDIA driver, with the CUDA builds of torch and ONNX Runtime "
        "(onnxruntime-gpu in the place of onnxruntime), or set device to cpu."
    ),
}


@asynccontextmanager
async def known_device(
    workers: WorkerPool, entry: str, wanted: Device, metrics: Metrics
) -> AsyncIterator[None]:
    """Has a worker find out where it computes, and shows it as a metric.

    With ``auto`` nobody waits for that.

    Args:
        workers: The pool.
        entry: A job that takes nothing and returns the libraries that follow the device, and where
            each computes.
        wanted: Where they are to.
        metrics: Whose `execution_provider` is set.

    Raises:
        StartupError: They compute elsewhere, or not at all.
    """
    if wanted != "auto":
        _compare(await _found(workers, entry, wanted, metrics), wanted)
        yield
        return
    task = asyncio.create_task(_look(workers, entry, metrics), name="device")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _look(workers: WorkerPool, entry: str, metrics: Metrics) -> None:
    try:
        await _found(workers, entry, "auto", metrics)
    except StartupError as error:
        # The first job will meet the same and tells its client.
        _log.warning("device_unknown", problem=str(error))


async def _found(
    workers: WorkerPool, entry: str, wanted: Device, metrics: Metrics
) -> Mapping[str, str]:
    """Returns where each library computes."""
    try:
        found = await workers.run(entry, {})
    except ServiceError as error:
        raise StartupError(
            f"No worker could tell where it computes: {error.message} {error.advice}"
        ) from error
    for library, provider in found.items():
        metrics.execution_provider.labels(library=library, provider=provider).set(1)
    _log.info("device", wanted=wanted, **found)
    return found


def _compare(found: Mapping[str, str], wanted: Device) -> None:
    if any(place != _WANTED[wanted][library] for library, place in found.items()):
        places = " and ".join(f"{library} computes on {place}" for library, place in found.items())
        raise StartupError(f"The device asked for is {wanted}, but {places}. {_ADVICE[wanted]}")
