"""A reconciler inside the test's own process, over a real Triton."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from pydantic import SecretStr
from sliceandpack.packer.v1 import deployments_pb2

from serving.client import TritonClient
from serving.embedded.server import EmbeddedTriton
from serving.errors import ServingError
from serving.reconciler.app import compose
from serving.reconciler.settings import ReconcilerSettings
from serving.repository import ModelRepository
from svckit.clients.settings import ClientSettings
from svckit.lifecycle import Lifecycle
from tests.helpers.packer import LONG_SECONDS, FakePacker
from tests.helpers.triton import ROOT, answers, samples


def beside(triton: EmbeddedTriton) -> dict[str, Any]:
    """The settings of a reconciler for a Triton that somebody else runs."""
    return {
        "state_dir": triton.options.models.parent,
        "triton_address": triton.grpc_address,
        "triton_secret": SecretStr(triton.secret),
    }


def embedding(folder: Path) -> dict[str, Any]:
    """The settings of a reconciler that runs a Triton of its own."""
    return {"state_dir": folder, "embedded": True, "triton_environment": ROOT / ".triton"}


@asynccontextmanager
async def running_reconciler(
    packer_address: str, **settings: Any
) -> AsyncIterator[Lifecycle[ReconcilerSettings]]:
    """Runs a reconciler with quick probes."""
    quick: dict[str, Any] = {
        "probe_seconds": 0.2,
        "grace_seconds": 3.0,
        "drain_seconds": 1.0,
    }
    lifecycle = Lifecycle(
        ReconcilerSettings(packer=ClientSettings(address=packer_address), **(quick | settings)),
        compose,
    )
    await lifecycle.start()
    try:
        yield lifecycle
    finally:
        await lifecycle.shutdown()


@asynccontextmanager
async def health_watch(lifecycle: Lifecycle[ReconcilerSettings]) -> AsyncIterator[Any]:
    """A stream of the reconciler's health; `read()` gives the next change."""
    async with grpc.aio.insecure_channel(str(lifecycle.address)) as channel:
        yield health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())


async def until_health(watch: Any, status: int) -> None:
    """Waits for a health; a slow answer of Triton may have made it another one for a moment."""
    async with asyncio.timeout(LONG_SECONDS):
        while (await watch.read()).status != status:
            pass


@dataclass(frozen=True)
class World:
    """What a reconciler's test acts on."""

    packer: FakePacker
    packer_address: str
    triton: EmbeddedTriton
    client: TritonClient
    repository: ModelRepository

    async def predicts(self, name: str, seed: int) -> bool:
        """Whether whoever names no version gets the answers of that seed's classifier."""
        x = samples(3, seed=99)
        got = (await self.client.infer(name, {"x": x})).outputs["probabilities"]
        return bool(np.allclose(got, answers(seed, x), atol=1e-5))

    async def until_predicts(self, name: str, seed: int) -> None:
        """Waits until it does, whatever goes wrong before."""
        async with asyncio.timeout(LONG_SECONDS):
            while True:
                with suppress(ServingError):
                    if await self.predicts(name, seed):
                        return
                await asyncio.sleep(0.05)


def reason_of(report: deployments_pb2.ReportReadyRequest) -> str:
    """The reason of a report's error."""
    info = error_details_pb2.ErrorInfo()
    assert report.error.details[0].Unpack(info)
    return str(info.reason)
