"""A reconciler inside the test's own process, over a real Triton."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from pydantic import SecretStr

from serving.embedded.server import EmbeddedTriton
from serving.reconciler.app import compose
from serving.reconciler.settings import ReconcilerSettings
from svckit.clients.settings import ClientSettings
from svckit.lifecycle import Lifecycle
from tests.helpers.triton import ROOT


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
    quick = {"probe_seconds": 0.2, "grace_seconds": 3.0, "drain_seconds": 1.0}
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
