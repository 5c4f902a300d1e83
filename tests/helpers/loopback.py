"""A real server on loopback for tests, and a service whose behaviour a test gives."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import grpc
from sliceandpack.artifact.v1 import artifacts_pb2, artifacts_pb2_grpc

from svckit.lifecycle import Compose, Lifecycle, Runtime
from svckit.server import Service
from svckit.settings import ServerSettings


@dataclass(frozen=True)
class Loopback:
    """A running server and a channel to it."""

    lifecycle: Lifecycle[ServerSettings]
    channel: grpc.aio.Channel

    @property
    def address(self) -> str:
        return str(self.lifecycle.address)


class ScriptedArtifacts(artifacts_pb2_grpc.ArtifactsServicer):
    """The contract ``Artifacts`` with one method of each shape, doing what a test says."""

    def __init__(
        self,
        *,
        query: Callable[[artifacts_pb2.QueryWriteStatusRequest], Awaitable[Any]] | None = None,
        read: Callable[[artifacts_pb2.ReadRequest], AsyncIterator[Any]] | None = None,
        write: Callable[[AsyncIterator[Any]], Awaitable[Any]] | None = None,
    ) -> None:
        self._query = query
        self._read = read
        self._write = write

    async def QueryWriteStatus(self, request: Any, _context: Any) -> Any:  # noqa: N802
        assert self._query is not None
        return await self._query(request)

    async def Read(self, request: Any, _context: Any) -> AsyncIterator[Any]:  # noqa: N802
        assert self._read is not None
        async with contextlib.aclosing(self._read(request)) as chunks:  # type: ignore[type-var]
            async for chunk in chunks:
                yield chunk

    async def Write(self, request_iterator: Any, _context: Any) -> Any:  # noqa: N802
        assert self._write is not None
        return await self._write(request_iterator)

    @property
    def service(self) -> Service:
        return Service(
            artifacts_pb2.DESCRIPTOR.services_by_name["Artifacts"],
            partial(artifacts_pb2_grpc.add_ArtifactsServicer_to_server, self),
        )


def composed(*services: Service) -> Compose[ServerSettings]:
    """Returns a composition root with no resources."""

    async def compose(_settings: ServerSettings, _runtime: Runtime) -> Sequence[Service]:
        return services

    return compose


@contextlib.asynccontextmanager
async def loopback(
    *services: Service, settings: ServerSettings | None = None
) -> AsyncIterator[Loopback]:
    """Runs a server with these services while it is open."""
    lifecycle = Lifecycle(settings or ServerSettings(drain_seconds=1), composed(*services))
    await lifecycle.start()
    try:
        async with grpc.aio.insecure_channel(str(lifecycle.address)) as channel:
            yield Loopback(lifecycle, channel)
    finally:
        await lifecycle.shutdown()
