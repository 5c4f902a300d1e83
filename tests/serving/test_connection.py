"""Notices that a server was away, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import grpc

from benchmarks.availability.ports import free_port
from serving.connection import held_connection


@asynccontextmanager
async def serving(address: str, *options: tuple[str, int]) -> AsyncIterator[grpc.aio.Server]:
    """A server without services; its options are gRPC's."""
    server = grpc.aio.server(options=options)
    server.add_insecure_port(address)
    await server.start()
    try:
        yield server
    finally:
        await server.stop(None)


async def test_a_server_that_ends_and_starts_again_is_noticed() -> None:
    address = f"127.0.0.1:{free_port()}"
    async with serving(address), held_connection(address) as lost:
        await _held(address)
        assert not lost.is_set()
    async with held_connection(address) as lost:
        for _ in range(2):
            async with serving(address):
                await _held(address)
            async with asyncio.timeout(5):
                await lost.wait()
            lost.clear()


async def test_a_connection_that_is_ended_for_its_age_is_no_loss() -> None:
    address = f"127.0.0.1:{free_port()}"
    ended = _Ends()
    async with (
        serving(address, ("grpc.max_connection_age_ms", 200)),
        held_connection(address) as lost,
        ended.watching(address),
    ):
        async with asyncio.timeout(10):
            await ended.often.wait()
        assert not lost.is_set()


async def _held(address: str) -> None:
    """Waits until another connection is there, and the one that is held with it."""
    async with grpc.aio.insecure_channel(address) as channel:
        await asyncio.wait_for(channel.channel_ready(), 5)
    await asyncio.sleep(0.5)


class _Ends:
    """Counts how often a server ends a connection of its own accord."""

    def __init__(self) -> None:
        self.often = asyncio.Event()
        self._states: Sequence[grpc.ChannelConnectivity] = ()

    @asynccontextmanager
    async def watching(self, address: str) -> AsyncIterator[None]:
        async with grpc.aio.insecure_channel(address) as channel:
            task = asyncio.create_task(self._watch(channel))
            try:
                yield
            finally:
                task.cancel()
                await asyncio.wait([task])

    async def _watch(self, channel: grpc.aio.Channel) -> None:
        ends = 0
        while True:
            state = channel.get_state(try_to_connect=True)
            await channel.wait_for_state_change(state)
            ends += state is grpc.ChannelConnectivity.READY
            if ends == 4:
                self.often.set()
