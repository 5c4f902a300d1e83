"""Starts a server in order, and stops it in order.

Start: metrics, address, resources, calls, SERVING, ready file. Stop: NOT_SERVING, drain calls,
resources in the reverse order of their opening, metrics last.
"""

import asyncio
import contextlib
import json
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import structlog

from svckit.addresses import Address
from svckit.health import HealthServicer, Readiness
from svckit.health_endpoint import health_endpoint
from svckit.metrics_endpoint import metrics_endpoint
from svckit.server import BoundServer, Service, StartupError, bind, register
from svckit.settings import ServerSettings
from svckit.telemetry import Metrics

_log = structlog.stdlib.get_logger(__name__)

S = TypeVar("S", bound=ServerSettings)


@dataclass(frozen=True)
class Runtime:
    """What a composition root builds its services from.

    Attributes:
        resources: Whatever has to be closed is entered here, in the order in which it is opened;
            it is closed in the reverse order, after the last call has ended.
        metrics: The metrics of the process.
        readiness: Where a process says that it is not fit to be called for a while; its health is
            NOT_SERVING then.
        ready_facts: Further entries of the ready file, such as the addresses of what else this
            process started.
        stopping: Set as soon as the process is asked to stop, before its watches are ended.
    """

    resources: contextlib.AsyncExitStack
    metrics: Metrics
    readiness: Readiness = field(default_factory=Readiness)
    ready_facts: dict[str, str] = field(default_factory=dict)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)


Compose = Callable[[S, Runtime], Awaitable[Sequence[Service]]]
"""A composition root: opens the resources of a process and returns its services."""


class Lifecycle(Generic[S]):
    """One server from its start to its end.

    Args:
        settings: The settings of the process.
        compose: Its composition root.
    """

    def __init__(self, settings: S, compose: Compose[S]) -> None:
        self._settings = settings
        self._compose = compose
        self._resources = contextlib.AsyncExitStack()
        self._server: BoundServer | None = None
        self._health: HealthServicer | None = None
        self._stopping = asyncio.Event()
        self._shutdown: asyncio.Task[None] | None = None

    @property
    def address(self) -> Address:
        """Where the server listens, once it has started."""
        assert self._server is not None, "start() comes first"
        return self._server.address

    async def start(self) -> None:
        """Starts the server; when this returns, it is SERVING.

        Raises:
            StartupError: An address is in use or a TLS file cannot be read.
        """
        try:
            await self._start()
        except BaseException:
            await self.shutdown()
            raise

    async def _start(self) -> None:
        metrics = Metrics()
        wanted = Address.parse(self._settings.metrics_address)
        try:
            metrics_address = await self._resources.enter_async_context(
                metrics_endpoint(metrics.registry, wanted, self._is_serving)
            )
        except OSError as error:
            raise StartupError(
                f"Cannot serve metrics on {wanted} ({error.strerror}): set another metrics_address."
            ) from error
        self._server = bind(self._settings, metrics)
        runtime = Runtime(self._resources, metrics, stopping=self._stopping)
        services = await self._compose(self._settings, runtime)
        self._health = register(self._server.grpc, services, runtime.readiness)
        if self._settings.health_address is not None:
            where = Address.parse(self._settings.health_address)
            found = await self._resources.enter_async_context(health_endpoint(self._health, where))
            runtime.ready_facts["health_address"] = str(found)
        await self._server.grpc.start()
        await self._health.serve()
        self._write_ready_file(metrics_address, runtime.ready_facts)
        _log.info("serving", address=str(self.address), metrics_address=str(metrics_address))

    async def shutdown(self) -> None:
        """Stops the server; a second call waits for the first.

        Raises:
            TimeoutError: The resources took longer to close than the settings allow.
        """
        if self._shutdown is None:
            self._shutdown = asyncio.create_task(self._stop())
        await asyncio.shield(self._shutdown)

    async def _stop(self) -> None:
        _log.info("stopping")
        self._stopping.set()
        if self._settings.ready_file is not None:
            # Whatever became of its folder, the rest has to be stopped.
            with contextlib.suppress(OSError):
                self._settings.ready_file.unlink()
        if self._health is not None:
            await self._health.stop()
        if self._server is not None:
            self._server.stopping.stop()
            await self._server.grpc.stop(self._settings.drain_seconds)
        async with asyncio.timeout(self._settings.close_seconds):
            if self._server is not None:
                await self._server.in_flight.until_idle()
            await self._resources.aclose()
        _log.info("stopped")

    def _is_serving(self) -> bool:
        return self._health is not None and self._health.serving

    def _write_ready_file(self, metrics_address: Address, facts: Mapping[str, str]) -> None:
        """Writes the bound addresses in one step, so that nobody reads half of them."""
        path = self._settings.ready_file
        if path is None:
            return
        content = {
            **facts,
            "address": str(self.address),
            "metrics_address": str(metrics_address),
            "pid": os.getpid(),
        }
        scratch = path.with_name(f"{path.name}.{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            scratch.write_text(json.dumps(content))
            scratch.replace(path)
        except OSError as error:
            raise StartupError(
                f"Cannot write {path} ({error.strerror}): set another ready_file, or, in a "
                "container, mount something writable there."
            ) from error
