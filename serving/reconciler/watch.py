"""Listens to what the packer desires, and reconnects for ever."""

from __future__ import annotations

import asyncio
from typing import Protocol

import grpc
import structlog
from sliceandpack.packer.v1 import deployments_pb2, deployments_pb2_grpc

from serving.pace import Backoff

_log = structlog.stdlib.get_logger(__name__)


class Listener(Protocol):
    """Who acts on what the packer says; must not block."""

    def connected(self) -> None:
        """Called before the first state of each connection: the packer may be another one now."""

    def desired(self, state: deployments_pb2.DesiredState) -> None:
        """Called with all that is desired."""


async def watch_desired(
    packer: deployments_pb2_grpc.DeploymentsAsyncStub,
    replica: str,
    listener: Listener,
    backoff: Backoff,
) -> None:
    """Tells the listener all that is desired, again after each change; runs until cancelled.

    Args:
        packer: The packer's Deployments.
        replica: This replica's name.
        listener: Who is told.
        backoff: Waits between connections.
    """
    failures = 0
    while True:
        connected = False
        try:
            call = packer.WatchDesired(deployments_pb2.WatchDesiredRequest(replica=replica))
            async for state in call:
                if not connected:
                    connected, failures = True, 0
                    listener.connected()
                listener.desired(state)
            reason = "the packer ended the stream"
        except grpc.aio.AioRpcError as error:
            reason = f"{error.code().name}: {error.details()}"
        failures += 1
        _log.warning("packer_disconnected", reason=reason, failures=failures)
        await asyncio.sleep(backoff.after(failures))
