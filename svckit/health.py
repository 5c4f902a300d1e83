"""``grpc.health.v1`` of a server that starts NOT_SERVING and stops NOT_SERVING.

Our own servicer, since that of grpcio-health-checking starts SERVING, drops all watchers of a
service when one of them leaves, and never ends a watch.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Final

from grpc_health.v1 import health_pb2, health_pb2_grpc
from sliceandpack.error.v1 import error_reason_pb2 as pb

from svckit.errors import NotFound
from svckit.interceptors.call import Context

LIVENESS: Final = "liveness"
"""A name to ask health for: SERVING as long as the process answers at all, whatever its fitness, so
that nobody restarts a process that waits for another one."""


class Readiness:
    """Whether a running server is fit to be called; a composition root may say no for a while.

    Attributes:
        ready: Whether it is; true until somebody says otherwise.
        changed: Notified at every change of the server's health.
    """

    def __init__(self) -> None:
        self.ready = True
        self.changed = asyncio.Condition()

    async def set(self, ready: bool) -> None:
        """Says whether the server is fit to be called from now on."""
        async with self.changed:
            self.ready = ready
            self.changed.notify_all()


class HealthServicer(health_pb2_grpc.HealthServicer):  # type: ignore[misc]  # It has no types.
    """Tells whether the server takes calls; the same for all of its services.

    Args:
        services: The full names of the services; the empty name stands for the server.
        readiness: What the process itself says of its fitness.
    """

    def __init__(self, services: Iterable[str], readiness: Readiness | None = None) -> None:
        self._services = frozenset({"", LIVENESS, *services})
        self._serving = False
        self._stopped = False
        self._readiness = readiness or Readiness()
        self._changed = self._readiness.changed

    @property
    def serving(self) -> bool:
        """Whether the server takes calls now."""
        return self._serving and self._readiness.ready

    async def serve(self) -> None:
        """Says SERVING from now on."""
        async with self._changed:
            self._serving = not self._stopped
            self._changed.notify_all()

    async def stop(self) -> None:
        """Says NOT_SERVING from now on, for good, and ends all watches after that word."""
        async with self._changed:
            self._serving = False
            self._stopped = True
            self._changed.notify_all()

    async def Check(  # noqa: N802  The contract's name.
        self,
        request: health_pb2.HealthCheckRequest,
        context: Context,  # noqa: ARG002
    ) -> health_pb2.HealthCheckResponse:
        """Returns the status of one service.

        Raises:
            NotFound: The server has no such service.
        """
        if request.service not in self._services:
            raise NotFound(
                pb.ERROR_REASON_RESOURCE_NOT_FOUND,
                f"This server has no service {request.service!r}.",
                advice="Ask its reflection service which services there are.",
                metadata={"resource": request.service},
            )
        return self._response(request.service)

    async def Watch(  # noqa: N802  The contract's name.
        self,
        request: health_pb2.HealthCheckRequest,
        context: Context,  # noqa: ARG002
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        """Yields the status of one service, now and at every change, until the server stops."""
        told, stopped = None, False
        while not stopped:
            async with self._changed:
                while (now := self._response(request.service)) == told and not self._stopped:
                    await self._changed.wait()
                told, stopped = now, self._stopped
            yield now

    def _response(self, service: str) -> health_pb2.HealthCheckResponse:
        status = "SERVING" if service == LIVENESS or self.serving else "NOT_SERVING"
        return health_pb2.HealthCheckResponse(
            status=status if service in self._services else "SERVICE_UNKNOWN"
        )
