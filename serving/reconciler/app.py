"""The composition root of a reconciler."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import structlog
from sliceandpack.packer.v1 import deployments_pb2, deployments_pb2_grpc

from serving.client import TritonClient
from serving.embedded.environment import locate
from serving.embedded.server import EmbeddedTriton, TritonOptions
from serving.embedded.supervisor import supervise
from serving.errors import DesiredInvalidError, RepositoryError, TritonSetupError
from serving.pace import Backoff
from serving.reconciler.comparer import Comparer
from serving.reconciler.convert import desired_from, model_name
from serving.reconciler.desired import Outcome
from serving.reconciler.fleet import Fleet
from serving.reconciler.keeper import Rhythm
from serving.reconciler.packs import PackerArtifacts
from serving.reconciler.reports import Reporter
from serving.reconciler.settings import ReconcilerSettings
from serving.reconciler.site import Site
from serving.reconciler.status import publish_status
from serving.reconciler.watch import watch_desired
from serving.repository import ModelRepository
from svckit.clients.channel import channel
from svckit.folders import writable_folder
from svckit.lifecycle import Runtime
from svckit.server import Service, StartupError

_log = structlog.stdlib.get_logger(__name__)
_BACKOFF: Final = Backoff(first=0.5, last=30.0)
_RECONNECT: Final = Backoff(first=0.5, last=5.0)
_PARALLEL_STEPS: Final = 4


async def compose(settings: ReconcilerSettings, runtime: Runtime) -> Sequence[Service]:
    """Starts everything; the server itself has no service but health and reflection.

    Args:
        settings: The settings.
        runtime: What the server gives its services.

    Returns:
        No service.

    Raises:
        StartupError: Triton cannot be started, another reconciler has the repository, or it cannot
            be written to.
    """
    await runtime.readiness.set(False)
    repository = ModelRepository(writable_folder(settings.state_dir))
    try:
        runtime.resources.enter_context(repository.opened())
        embedded = await _embedded_triton(settings, runtime, repository)
    except (RepositoryError, TritonSetupError) as error:
        raise StartupError(str(error)) from error
    triton = await runtime.resources.enter_async_context(_client(settings, embedded))
    packer = await runtime.resources.enter_async_context(channel(settings.packer))
    deployments: deployments_pb2_grpc.DeploymentsAsyncStub
    deployments = deployments_pb2_grpc.DeploymentsStub(packer)
    reporter = Reporter(deployments, settings.replica, _RECONNECT)
    site = Site(triton, repository, PackerArtifacts(packer), settings.profile)
    comparer = Comparer(site, settings.comparison_seconds, reporter.compared)
    fleet = Fleet(
        site,
        Rhythm(
            settings.probe_seconds,
            settings.grace_seconds,
            _BACKOFF,
            switches=asyncio.Semaphore(_PARALLEL_STEPS),
            probes=asyncio.Semaphore(_PARALLEL_STEPS),
        ),
        reporter.put,
    )
    inbox = Inbox(fleet, reporter, comparer)
    tasks = [
        fleet.run(),
        reporter.run(),
        comparer.run(),
        watch_desired(deployments, settings.replica, inbox, _RECONNECT),
        publish_status(triton, fleet, runtime),
    ]
    if embedded is not None:
        tasks.append(supervise(embedded, fleet.triton_restarted))
    await runtime.resources.enter_async_context(_running(tasks))
    return []


@dataclass(frozen=True)
class Inbox:
    """Hands what the packer says to those who act on it."""

    fleet: Fleet
    reporter: Reporter
    comparer: Comparer

    def connected(self) -> None:
        """Reports everything anew: the packer may have been restored from an older state."""
        self.reporter.repeat()

    def desired(self, state: deployments_pb2.DesiredState) -> None:
        """Sets what is desired; a deployment that makes no sense is reported, and left alone."""
        clear, unclear = [], []
        self.reporter.keep_only({model_name(message.name) for message in state.deployments})
        for message in state.deployments:
            try:
                clear.append(desired_from(message))
            except DesiredInvalidError as error:
                name = model_name(message.name)
                unclear.append(name)
                self.reporter.put(Outcome(name, message.generation, None, error))
        _log.info("desired", revision=state.revision, deployments=len(state.deployments))
        self.fleet.apply(clear, unclear=unclear)
        self.comparer.apply(clear)


async def _embedded_triton(
    settings: ReconcilerSettings, runtime: Runtime, repository: ModelRepository
) -> EmbeddedTriton | None:
    if not settings.embedded:
        return None
    options = TritonOptions(
        models=repository.models,
        backends=settings.state_dir.absolute() / "backends",
        ports=settings.ports,
    )
    triton = EmbeddedTriton(locate(settings.triton_environment), options)
    await triton.prepare()
    runtime.resources.push_async_callback(triton.stop)
    await triton.start()
    runtime.ready_facts["triton_grpc"] = triton.grpc_address
    runtime.ready_facts["triton_http"] = triton.http_address
    return triton


def _client(settings: ReconcilerSettings, embedded: EmbeddedTriton | None) -> TritonClient:
    if embedded is not None:
        return TritonClient(embedded.grpc_address, secret=embedded.secret)
    assert settings.triton_address is not None, "the settings see to it"
    secret = settings.triton_secret
    return TritonClient(
        settings.triton_address, secret=None if secret is None else secret.get_secret_value()
    )


@asynccontextmanager
async def _running(coroutines: Sequence[Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Runs tasks that have no end of their own; one that fails ends the process in order."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            _log.error("task_failed", exc_info=task.exception())
            # Half a reconciler is none: whoever started the process starts it again.
            os.kill(os.getpid(), signal.SIGTERM)

    for task in tasks:
        task.add_done_callback(ended)
    try:
        yield
    finally:
        for task in reversed(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
