"""How runners come by work: the oldest operation that waits, or that a dead runner left behind."""

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from svckit.operations import transitions
from svckit.operations.backing import Backing
from svckit.operations.changes import events_of
from svckit.operations.leases import Lease
from svckit.operations.tables import OperationRow, OperationState

_CANDIDATES = 8


class Claims:
    """Gives operations to runners, each to one at a time.

    A claim is one conditional UPDATE: of two runners that want the same row, also in different
    processes, the database lets one through.
    """

    def __init__(self, backing: Backing) -> None:
        self._backing = backing
        self._database = backing.database
        self._clock = backing.clock
        self._settings = backing.settings

    async def void_those_of_the_dead(self) -> int:
        """Lets all leases of earlier processes run out, where nobody else can hold any.

        Returns:
            How many operations wait to be taken over.
        """
        if not self._database.exclusive:
            return 0
        others = OperationRow.lease_owner.not_like(f"{self._database.instance}/%")
        running = OperationRow.state == OperationState.RUNNING
        statement = update(OperationRow).where(running, others)
        async with self._database.writing() as session:
            result = await session.execute(statement.values(lease_expires=self._clock.now()))
        return int(result.rowcount)  # type: ignore[attr-defined]

    async def claim(
        self, owner: str, kinds: Collection[str], running: Collection[str]
    ) -> Lease | None:
        """Takes the oldest operation that waits or was left behind, if there is one.

        Args:
            owner: The runner.
            kinds: The kinds of work that it has handlers for.
            running: The ids that it works on already.
        """
        due = self._due(self._clock.now())
        candidates = (
            select(OperationRow.id)
            .where(due, OperationRow.kind.in_(kinds), OperationRow.id.not_in(running))
            .order_by(OperationRow.create_time, OperationRow.id)
            .limit(_CANDIDATES)
        )
        async with self._database.reading() as session:
            ids = (await session.scalars(candidates)).all()
        for operation_id in ids:
            async with self._database.writing() as session:
                row = await self._take(session, operation_id, owner)
            if row is None:
                continue
            self._backing.changes.notify(events_of(operation_id))
            self._backing.observe_end(row)
            if row.state == OperationState.RUNNING:
                return _lease_of(row, owner)
        return None

    async def _take(
        self, session: AsyncSession, operation_id: str, owner: str
    ) -> OperationRow | None:
        """Takes an operation or ends it; None if it was another runner's turn."""
        now = self._clock.now()
        expires = now + timedelta(seconds=self._settings.lease)
        mine = update(OperationRow).where(OperationRow.id == operation_id, self._due(now))
        taken = await session.execute(mine.values(lease_owner=owner, lease_expires=expires))
        if taken.rowcount != 1:  # type: ignore[attr-defined]
            return None
        row = await session.get_one(OperationRow, operation_id)
        if row.state == OperationState.RUNNING:
            row.failed_attempts += 1
        if row.cancel_requested is not None:
            await transitions.cancel(session, row, now)
        elif row.failed_attempts >= self._settings.attempts:
            await transitions.fail(session, row, transitions.exhausted(row), now)
        else:
            transitions.start(session, row, now)
        return row

    def _due(self, now: datetime) -> ColumnElement[bool]:
        too_long = now - timedelta(seconds=self._settings.cancel_limit)
        waits = and_(
            OperationRow.state == OperationState.QUEUED,
            or_(OperationRow.not_before.is_(None), OperationRow.not_before <= now),
        )
        left_behind = and_(
            OperationRow.state == OperationState.RUNNING,
            or_(OperationRow.lease_expires <= now, OperationRow.cancel_requested <= too_long),
        )
        return or_(waits, left_behind)

    async def next_due(self, kinds: Collection[str], running: Collection[str]) -> datetime | None:
        """Returns when the next operation can be claimed that cannot be claimed yet.

        None, if no retry waits, no lease can run out and no cancelling can take too long.

        Args:
            kinds: The kinds of work that the runner has handlers for.
            running: The ids that it works on already.
        """
        queued = OperationRow.state == OperationState.QUEUED
        statement = select(
            func.min(OperationRow.not_before).filter(queued),
            func.min(OperationRow.lease_expires),
            func.min(OperationRow.cancel_requested),
        ).where(
            OperationRow.end_time.is_(None),
            OperationRow.kind.in_(kinds),
            OperationRow.id.not_in(running),
        )
        async with self._database.reading() as session:
            retry, lease, wish = (await session.execute(statement)).one()
        limit = None if wish is None else wish + timedelta(seconds=self._settings.cancel_limit)
        return min((due for due in (retry, lease, limit) if due is not None), default=None)


def _lease_of(row: OperationRow, owner: str) -> Lease:
    return Lease(
        operation_id=row.id,
        owner=owner,
        kind=row.kind,
        request=row.request,
        principal=row.principal,
        attempt=row.attempt,
        scratch=row.scratch,
    )
