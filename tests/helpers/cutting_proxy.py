"""A TCP proxy on loopback that cuts its connections after so many bytes."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress


class CuttingProxy:
    """Forwards connections to a server and breaks them off.

    Args:
        port: The port of the server on loopback.
        budgets: How many bytes each connection may carry, both ways together, in the order in
            which they come; further connections are not cut.
    """

    def __init__(self, port: int, budgets: Sequence[int]) -> None:
        self._port = port
        self._budgets = list(budgets)
        self._serving: set[asyncio.Task[None]] = set()
        self.cuts = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carries one connection."""
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            await self._forward(reader, writer)
        finally:
            writer.transport.abort()
            self._serving.discard(task)

    async def close(self) -> None:
        """Breaks off what is still connected."""
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        # Aborted transports close at the loop's next turn.
        await asyncio.sleep(0)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        left = [self._budgets.pop(0) if self._budgets else 2**62]
        remote_reader, remote_writer = await asyncio.open_connection("127.0.0.1", self._port)
        ways = [
            asyncio.create_task(self._carry(reader, remote_writer, left)),
            asyncio.create_task(self._carry(remote_reader, writer, left)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            remote_writer.transport.abort()

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, left: list[int]
    ) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(2**14):
                if len(data) > left[0]:
                    self.cuts += 1
                    return
                left[0] -= len(data)
                writer.write(data)
                await writer.drain()


@asynccontextmanager
async def cutting_proxy(
    port: int, budgets: Sequence[int]
) -> AsyncIterator[tuple[str, CuttingProxy]]:
    """Yields the proxy's address, ``host:port``, and the proxy."""
    proxy = CuttingProxy(port, budgets)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", proxy
    finally:
        server.close()
        await proxy.close()
