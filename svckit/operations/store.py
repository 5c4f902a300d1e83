"""What clients do with operations: ask for work, look at it, cancel it, forget it."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import ClassVar

import structlog
from google.longrunning import operations_pb2
from google.protobuf.message import Message
from sliceandpack.error.v1 import error_reason_pb2 as reasons
from sliceandpack.operation.v1.operation_events_pb2 import (
    OperationEvent,
    OperationMetadata,
    Progress,
)
from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from svckit.errors import ResourceExhausted
from svckit.operations import transitions
from svckit.operations.backing import Backing
from svckit.operations.changes import SUBMITTED, cancellation_of, events_of
from svckit.operations.messages import (
    new_id,
    not_found,
    pack,
    to_event,
    to_id,
    to_operation,
)
from svckit.operations.replay import Call, Replay
from svckit.operations.tables import (
    OperationEventRow,
    OperationRow,
    OperationState,
    RequestIdRow,
)

_log = structlog.stdlib.get_logger(__name__)

_PURGE_BATCH = 50


class OperationStore:
    """The operations of one service, in its database.

    Args:
        backing: The ground.

    Attributes:
        replay: Answers repeated requests; for mutations that are no operations, too.
    """

    PURGE_SECONDS: ClassVar = 3_600.0
    """The time from one purge to the next."""

    def __init__(self, backing: Backing) -> None:
        self._backing = backing
        self._database = backing.database
        self._clock = backing.clock
        self._settings = backing.settings
        self.replay = Replay(self._database, self._clock, self._settings.keep_request_ids)

    async def submit(
        self,
        kind: str,
        request: Message,
        metadata: OperationMetadata,
        request_id: str | None = None,
        principal: str = "",
        check: Callable[[AsyncSession], Awaitable[None]] | None = None,
    ) -> operations_pb2.Operation:
        """Queues work; once this returns, no crash loses it.

        Args:
            kind: Which handler runs it.
            request: What the handler gets.
            metadata: What the caller knows of it: only `target` is read.
            request_id: A replay with the same id returns the first operation as it stands now.
            principal: Who asks.
            check: Refuses, by raising, what the state of the service does not allow; a replay is
                answered without it, since the state has changed since.

        Raises:
            ResourceExhausted: QUEUE_FULL, if too much work waits already.
            InvalidArgument: REQUEST_ID_REUSED, if the id came with another request before.
            NotFound: If the id's operation was deleted since.
        """

        async def insert(session: AsyncSession) -> operations_pb2.Operation:
            if check is not None:
                await check(session)
            await self._refuse_if_full(session)
            row = OperationRow(
                id=new_id(),
                kind=kind,
                target=metadata.target,
                request=pack(request),
                principal=principal,
                state=OperationState.QUEUED,
                progress=Progress(eta_seconds=-1).SerializeToString(),
                scratch={},
                attempt=0,
                failed_attempts=0,
                abandoned=False,
                last_sequence=0,
                create_time=self._clock.now(),
            )
            session.add(row)
            await session.flush()
            transitions.record(session, row, row.create_time)
            return to_operation(row)

        call = Call(kind, request, request_id or "", principal)
        first = await self.replay.once(call, insert, operations_pb2.Operation)
        self._backing.changes.notify(SUBMITTED)
        return await self.get(first.name)

    async def _refuse_if_full(self, session: AsyncSession) -> None:
        waiting = select(func.count()).where(OperationRow.state == OperationState.QUEUED)
        if (await session.execute(waiting)).scalar_one() >= self._settings.queue:
            raise ResourceExhausted(
                reasons.ERROR_REASON_QUEUE_FULL,
                f"{self._settings.queue} operations wait already.",
                advice="Try again when some of them are done.",
                metadata={"limit": str(self._settings.queue)},
            )

    async def get(self, name: str) -> operations_pb2.Operation:
        """Returns an operation as it stands.

        Raises:
            InvalidArgument: If `name` is no operation's name.
            NotFound: If there is no such operation.
        """
        async with self._database.reading() as session:
            return to_operation(await _wanted(session, name))

    async def cancel(self, name: str) -> None:
        """Wants an operation to end: at once if it waits, within `cancel_limit` if it runs.

        One that has ended stays as it is.

        Raises:
            InvalidArgument: If `name` is no operation's name.
            NotFound: If there is no such operation.
        """
        async with self._database.writing() as session:
            row = await _wanted(session, name, lock=True)
            if row.state == OperationState.QUEUED:
                await transitions.cancel(session, row, self._clock.now())
            elif row.state == OperationState.RUNNING and row.cancel_requested is None:
                row.cancel_requested = self._clock.now()
        for topic in (events_of(row.id), cancellation_of(row.id), SUBMITTED):
            self._backing.changes.notify(topic)
        self._backing.observe_end(row)

    async def delete(self, name: str) -> None:
        """Forgets an operation. One that still runs is not cancelled, but hidden from now on.

        Raises:
            InvalidArgument: If `name` is no operation's name.
            NotFound: If there is no such operation.
        """
        async with self._database.writing() as session:
            row = await _wanted(session, name, lock=True)
            if OperationState(row.state).final:
                await session.delete(row)
            else:
                row.abandoned = True
        self._backing.changes.notify(events_of(row.id))

    async def events(
        self, name: str, after: int, limit: int
    ) -> tuple[list[OperationEvent], operations_pb2.Operation]:
        """Returns events of an operation in their order, and the operation as of then.

        Args:
            name: The operation's name.
            after: Only events with a greater sequence number are returned.
            limit: How many to return at most.

        Raises:
            InvalidArgument: If `name` is no operation's name.
            NotFound: If there is no such operation.
        """
        async with self._database.reading() as session:
            row = await _wanted(session, name)
            statement = (
                select(OperationEventRow)
                .where(OperationEventRow.operation_id == row.id, OperationEventRow.sequence > after)
                .order_by(OperationEventRow.sequence)
                .limit(limit)
            )
            events = [to_event(event) for event in await session.scalars(statement)]
            return events, to_operation(row)

    async def purge(self) -> int:
        """Deletes finished operations and answered request ids that are older than they are kept.

        Returns:
            How many operations were deleted.
        """
        now = self._clock.now()
        old_ids = RequestIdRow.create_time <= now - timedelta(
            seconds=self._settings.keep_request_ids
        )
        old = OperationRow.end_time <= now - timedelta(seconds=self._settings.keep_results)
        async with self._database.writing() as session:
            await session.execute(delete(RequestIdRow).where(old_ids))
        purged = 0
        while True:
            async with self._database.writing() as session:
                batch = select(OperationRow.id).where(old).limit(_PURGE_BATCH)
                names = (await session.scalars(batch)).all()
                await session.execute(delete(OperationRow).where(OperationRow.id.in_(names)))
            purged += len(names)
            if len(names) < _PURGE_BATCH:
                _log.info("operations_purged", count=purged)
                return purged


async def _wanted(session: AsyncSession, name: str, *, lock: bool = False) -> OperationRow:
    row = await session.get(OperationRow, to_id(name), with_for_update=lock)
    if row is None or row.abandoned:
        raise not_found(name)
    return row
