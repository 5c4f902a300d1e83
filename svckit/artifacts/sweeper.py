"""Deletes artifacts that nothing uses, and uploads that nobody finished."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar, Final

import structlog
from sqlalchemy import delete, exists, select

from svckit.artifacts.references import lock_row
from svckit.artifacts.store import ArtifactStore, StoredArtifact
from svckit.artifacts.tables import ArtifactReferenceRow, ArtifactRow
from svckit.clock import Clock
from svckit.database import Database

_log: Final = structlog.get_logger(__name__)


@dataclass(frozen=True)
class SweepSchedule:
    """When things are deleted.

    Attributes:
        grace: How long an artifact without a reference is kept after its last use: the time that
            a client has between an upload and the call that names it.
        upload_grace: How long an unfinished upload is kept after its last chunk.
    """

    grace: timedelta = timedelta(hours=24)
    upload_grace: timedelta = timedelta(hours=24)


@dataclass(frozen=True)
class SweepReport:
    """What a sweep did.

    Attributes:
        deleted: How many artifacts it deleted.
        leftovers: How many unfinished uploads and damaged files it deleted.
        kept: How many artifacts are left.
        kept_bytes: The size of those.
    """

    deleted: int
    leftovers: int
    kept: int
    kept_bytes: int


class ArtifactSweeper:
    """Sweeps.

    Args:
        database: Where the references are.
        store: Where the artifacts are.
        clock: Tells the time.
        schedule: When things are deleted.
        on_sweep: Gets the report of every `settle`, for metrics.
    """

    INTERVAL_SECONDS: ClassVar = 3_600.0
    """The time from one sweep to the next."""

    def __init__(
        self,
        database: Database,
        store: ArtifactStore,
        clock: Clock,
        *,
        schedule: SweepSchedule = SweepSchedule(),
        on_sweep: Callable[[SweepReport], None],
    ) -> None:
        self._database = database
        self._store = store
        self._clock = clock
        self._schedule = schedule
        self._on_sweep = on_sweep

    async def sweep(self) -> SweepReport:
        """Deletes once what has had its grace."""
        now = self._clock.now()
        before = (now - self._schedule.grace).timestamp()
        await self._finish_interrupted(before)
        stored = await self._store.list()
        unused = [artifact for artifact in stored if artifact.used_at < before]
        gone = {
            digest
            for digest in await self._unreferenced(unused)
            if await self._delete(digest, before)
        }
        leftovers = await self._store.sweep_leftovers(
            (now - self._schedule.upload_grace).timestamp()
        )
        kept = [artifact.size_bytes for artifact in stored if artifact.digest not in gone]
        return SweepReport(len(gone), leftovers, len(kept), sum(kept))

    async def settle(self) -> None:
        """Sweeps once and tells about it."""
        report = await self.sweep()
        self._on_sweep(report)
        _log.info("artifacts_swept", deleted=report.deleted, leftovers=report.leftovers)

    async def _unreferenced(self, artifacts: Sequence[StoredArtifact]) -> list[str]:
        """Returns those that nothing points at right now; `_delete` looks again under a lock."""
        async with self._database.reading() as session:
            used = set(await session.scalars(select(ArtifactReferenceRow.digest).distinct()))
        return [artifact.digest for artifact in artifacts if artifact.digest not in used]

    async def _delete(self, digest: str, before: float) -> bool:
        """Deletes one artifact unless something points at it or used it since.

        The mark is committed before the file goes: a reference added before the mark is seen here,
        one added after it is refused.
        """
        async with self._database.writing() as session:
            row = await lock_row(session, digest)
            referenced = exists().where(ArtifactReferenceRow.digest == digest)
            if await session.scalar(select(referenced)):
                return False
            row.deleting = True
        return await self._finish(digest, before)

    async def _finish(self, digest: str, before: float) -> bool:
        gone = await self._store.delete_unused(digest, before)
        async with self._database.writing() as session:
            await session.execute(delete(ArtifactRow).where(ArtifactRow.digest == digest))
        return gone

    async def _finish_interrupted(self, before: float) -> None:
        """Ends the deletions in which an earlier process stopped."""
        async with self._database.reading() as session:
            marked = list(
                await session.scalars(select(ArtifactRow.digest).where(ArtifactRow.deleting))
            )
        for digest in marked:
            await self._finish(digest, before)
