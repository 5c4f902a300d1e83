"""Notices that a Triton ended, however soon another one is in its place."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc

_OPTIONS = [
    # A connection that nobody uses is closed after a while, which is no loss.
    ("grpc.client_idle_timeout_ms", 2**31 - 1),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 250),
]

_READY = grpc.ChannelConnectivity.READY
# A connection on this machine takes a thousandth of a second; no server starts in a tenth.
_MOMENT_SECONDS = 0.1


@asynccontextmanager
async def held_connection(address: str) -> AsyncIterator[asyncio.Event]:
    """Holds a connection for as long as the context lasts, a new one whenever it is lost.

    A process that ends takes its connections with it, and refuses others until it has started
    again: asking it now and then, one would overlook that it was away for less than the time
    between two questions. A server that ends a connection for its age takes the next at once, which
    is no loss.

    Args:
        address: "host:port" of a gRPC endpoint.

    Yields:
        An event that is set at each loss; whoever waits for it clears it.
    """
    lost = asyncio.Event()
    async with grpc.aio.insecure_channel(address, options=_OPTIONS) as channel:
        watch = asyncio.create_task(_watch(channel, lost), name="held-connection")
        try:
            yield lost
        finally:
            watch.cancel()
            await asyncio.wait([watch])


async def _watch(channel: grpc.aio.Channel, lost: asyncio.Event) -> None:
    while True:
        while (state := channel.get_state(try_to_connect=True)) is not _READY:
            await channel.wait_for_state_change(state)
        await channel.wait_for_state_change(_READY)
        if not await _is_back(channel):
            lost.set()


async def _is_back(channel: grpc.aio.Channel) -> bool:
    """Whether the next connection is taken at once: the server is the one that was there."""
    until = time.monotonic() + _MOMENT_SECONDS
    while (state := channel.get_state(try_to_connect=True)) is not _READY:
        if state is grpc.ChannelConnectivity.TRANSIENT_FAILURE or time.monotonic() > until:
            return False
        await asyncio.sleep(_MOMENT_SECONDS / 20)
    return True
