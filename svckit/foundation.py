"""What a service with operations, artifacts and workers stands on, opened in one order."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, cast

from google.longrunning import operations_pb2
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.message import Message
from sliceandpack.artifact.v1 import artifacts_pb2, artifacts_pb2_grpc
from sliceandpack.operation.v1.operation_events_pb2 import OperationMetadata
from sqlalchemy.ext.asyncio import AsyncSession

from svckit.artifacts.folder import FolderArtifactStore
from svckit.artifacts.references import ArtifactReferences
from svckit.artifacts.servicer import ArtifactsServicer
from svckit.artifacts.store import ArtifactStore
from svckit.artifacts.sweeper import ArtifactSweeper, SweepReport
from svckit.clock import Clock, SystemClock
from svckit.database import Database, DatabaseInUseError, open_database, upgrade
from svckit.folders import writable_folder
from svckit.lifecycle import Runtime
from svckit.operations.backing import Backing
from svckit.operations.runner import Runner
from svckit.operations.services import operation_services
from svckit.operations.settings import OperationSettings
from svckit.operations.store import OperationStore
from svckit.paging import PageTokens
from svckit.server import Service, StartupError
from svckit.settings import ServiceSettings
from svckit.upkeep import Upkeep
from svckit.validation import validated
from svckit.workers import preload
from svckit.workers.limits import WorkerLimits
from svckit.workers.pool import PoolSettings, WorkerPool

# Operations that run beside those that keep the workers busy: some only wait, such as a deployment
# for its replicas, and may hold up no others.
_WAITING_OPERATIONS = 3

# What a worker may map beyond the memory that it uses: libraries, and what is only reserved.
_MAPPED_BYTES = 2 * 2**30


Check = Callable[[AsyncSession], Awaitable[None]]
"""Refuses, by raising, what the state of the service does not allow."""


class Request(Protocol):
    """What a message that asks for long-running work has.

    Attributes:
        request_id: A replay with the same id gets the first operation.
        validate_only: Only the request is checked.
    """

    request_id: str
    validate_only: bool


@dataclass(frozen=True, eq=False)
class Foundation:
    """The parts that the service is composed of.

    Attributes:
        clock: Tells the time and waits.
        database: The service's tables and those of svckit.
        artifacts: Where artifacts are kept.
        references: Who uses which artifact.
        operations: Takes long-running work.
        runner: Runs it; handlers are registered before it is entered.
        workers: Runs what touches submitted models.
        page_tokens: Makes and opens page tokens.
        scratch_folder: Where workers write; emptied at every start.
        backing: What the operations stand on.
    """

    clock: Clock
    database: Database
    artifacts: ArtifactStore
    references: ArtifactReferences
    operations: OperationStore
    runner: Runner
    workers: WorkerPool
    page_tokens: PageTokens
    scratch_folder: Path
    backing: Backing

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Yields a new folder that is gone afterwards."""
        with tempfile.TemporaryDirectory(dir=self.scratch_folder) as folder:
            yield Path(folder)

    async def accept(
        self, request: Request, target: str, check: Check, answer: Message
    ) -> operations_pb2.Operation:
        """Takes long-running work; with `validate_only` it is only checked.

        Args:
            request: A request with `request_id` and `validate_only`; its name without "Request" is
                the kind of work.
            target: The resource that the work is about.
            check: Refuses, by raising, what the state of the service does not allow.
            answer: The response to a request that is only checked.

        Raises:
            ServiceError: The request is refused.
        """
        if request.validate_only:
            async with self.database.reading() as session:
                await check(session)
            return validated(answer)
        message = cast(Message, request)
        kind = message.DESCRIPTOR.name.removesuffix("Request")
        metadata = OperationMetadata(target=target)
        return await self.operations.submit(
            kind, message, metadata, request.request_id, check=check
        )

    def services(self) -> Sequence[Service]:
        """Returns artifacts, operations and their events, as every service offers them."""
        artifacts = ArtifactsServicer(self.artifacts)
        return (
            *operation_services(self.operations, self.backing, self.page_tokens),
            service(
                artifacts_pb2.DESCRIPTOR,
                "Artifacts",
                partial(artifacts_pb2_grpc.add_ArtifactsServicer_to_server, artifacts),
            ),
        )


def service(file: FileDescriptor, name: str, add: Callable[..., None]) -> Service:
    """Returns a service of a contract's file, with the servicer that `add` adds."""
    return Service(file.services_by_name[name], add)


async def open_foundation(
    settings: ServiceSettings, runtime: Runtime, migrations: Path, entries: frozenset[str]
) -> Foundation:
    """Opens everything but the runner, whose handlers are registered first.

    Args:
        settings: The settings of the process.
        runtime: Takes what has to be closed.
        migrations: The folder of the service's Alembic migrations.
        entries: What workers may run.

    Raises:
        StartupError: Another process uses the state folder, or it cannot be written to.
    """
    clock, metrics = SystemClock(), runtime.metrics
    state = writable_folder(settings.state_dir)
    database = _open_database(state / "service.db")
    runtime.resources.push_async_callback(database.close)
    await upgrade(database, migrations)
    artifacts = FolderArtifactStore(state / "artifacts")

    def measure(report: SweepReport) -> None:
        metrics.artifact_bytes.set(report.kept_bytes)

    sweeper = ArtifactSweeper(database, artifacts, clock, on_sweep=measure)
    await runtime.resources.enter_async_context(
        Upkeep("artifacts", sweeper.settle, sweeper.INTERVAL_SECONDS, clock)
    )
    figures = OperationSettings(concurrency=settings.workers + _WAITING_OPERATIONS)
    backing = Backing(database, clock, figures, metrics)
    operations = OperationStore(backing)
    await runtime.resources.enter_async_context(
        Upkeep("operations", operations.purge, operations.PURGE_SECONDS, clock)
    )
    workers = await runtime.resources.enter_async_context(
        WorkerPool(
            entries | {preload.ENTRY},
            _pool_settings(settings),
            on_death=lambda cause: metrics.worker_deaths.labels(cause=cause).inc(),
        )
    )
    metrics.queue_depth.labels(queue="workers").set_function(lambda: workers.queued)
    return Foundation(
        clock=clock,
        database=database,
        artifacts=artifacts,
        references=ArtifactReferences(artifacts),
        operations=operations,
        runner=Runner(backing),
        workers=workers,
        page_tokens=PageTokens.from_file(state / "page-token.key"),
        scratch_folder=_empty_folder(state / "scratch"),
        backing=backing,
    )


def _open_database(path: Path) -> Database:
    try:
        return open_database(f"sqlite+aiosqlite:///{path.absolute()}")
    except DatabaseInUseError as error:
        raise StartupError(str(error)) from error


def _pool_settings(settings: ServiceSettings) -> PoolSettings:
    # CUDA maps far more than any card has.
    mapped = None if settings.device == "cuda" else settings.worker_memory_bytes + _MAPPED_BYTES
    limits = WorkerLimits(
        address_space_bytes=mapped,
        resident_bytes=settings.worker_memory_bytes,
        cpu_seconds=settings.worker_cpu_seconds,
    )
    return PoolSettings(
        size=settings.workers,
        threads=settings.library_threads,
        gpus=settings.device != "cpu",
        limits=limits,
    )


def _empty_folder(folder: Path) -> Path:
    """Makes a folder, without what a process before left behind."""
    folder.mkdir(parents=True, exist_ok=True)
    # The folder itself stays: it may be where a volume is mounted.
    for child in folder.iterdir():
        if child.is_dir() and not child.is_symlink():
            shutil.rmtree(child)
        else:
            child.unlink()
    return folder
