"""What a runner may do with an operation that it holds: note what is done, and end it."""

import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from google.rpc import status_pb2
from sliceandpack.operation.v1.operation_events_pb2 import Progress
from sqlalchemy.ext.asyncio import AsyncSession

from svckit.operations import transitions
from svckit.operations.backing import Backing
from svckit.operations.changes import SUBMITTED, events_of
from svckit.operations.tables import OperationRow


class LeaseLostError(Exception):
    """Another runner has the operation now, or it has ended: whatever comes is not kept."""


@dataclass(frozen=True)
class Lease:
    """An operation that one runner may work on until the lease runs out.

    Attributes:
        operation_id: The operation's id.
        owner: The runner.
        kind: Which handler runs it.
        request: The serialized Any of what was asked for.
        principal: Who asked.
        attempt: Which start this is, from 1 on.
        scratch: What an earlier attempt kept.
    """

    operation_id: str
    owner: str
    kind: str
    request: bytes
    principal: str
    attempt: int
    scratch: Mapping[str, Any]


class Leases:
    """Changes of operations by those who hold them.

    Each method prolongs the lease, and raises `LeaseLostError` if it is held no more: of two
    runners that believe to have the same operation, one is told otherwise and changes nothing.

    Args:
        backing: The ground.
        jitter: Gives numbers in [0, 1) that spread retries.
    """

    def __init__(self, backing: Backing, jitter: Callable[[], float] = random.random) -> None:
        self._backing = backing
        self._clock = backing.clock
        self._settings = backing.settings
        self._jitter = jitter

    async def renew(self, lease: Lease) -> bool:
        """Prolongs a lease, and returns whether someone wants the operation to end."""
        async with self._held(lease) as (_, row):
            return row.cancel_requested is not None

    async def report(self, lease: Lease, progress: Progress) -> bool:
        """Writes how far the work is, and an event; otherwise the same as `renew`."""
        async with self._held(lease) as (session, row):
            row.progress = progress.SerializeToString(deterministic=True)
            transitions.record(session, row, self._clock.now())
        return row.cancel_requested is not None

    async def save(self, lease: Lease, scratch: Mapping[str, Any]) -> None:
        """Keeps what a later attempt wants to find."""
        async with self._held(lease) as (_, row):
            row.scratch = dict(scratch)

    async def succeed(self, lease: Lease, response: bytes) -> None:
        """Ends the operation with a response, a serialized Any."""
        async with self._held(lease) as (session, row):
            await transitions.succeed(session, row, response, self._clock.now())

    async def fail(self, lease: Lease, error: status_pb2.Status) -> None:
        """Ends the operation with an error."""
        async with self._held(lease) as (session, row):
            await transitions.fail(session, row, error, self._clock.now())

    async def cancel(self, lease: Lease) -> None:
        """Ends the operation because someone wanted it to end."""
        async with self._held(lease) as (session, row):
            await transitions.cancel(session, row, self._clock.now())

    async def retry(self, lease: Lease, error: status_pb2.Status) -> None:
        """Puts the operation back for another attempt, or ends it if it had its attempts.

        Args:
            lease: The lease.
            error: Why this attempt failed; the operation's error if it was the last one.
        """
        now = self._clock.now()
        async with self._held(lease) as (session, row):
            row.failed_attempts += 1
            if row.cancel_requested is not None:
                await transitions.cancel(session, row, now)
            elif row.failed_attempts >= self._settings.attempts:
                await transitions.fail(session, row, error, now)
            else:
                transitions.requeue(session, row, now + self._pause(row.failed_attempts), now)
        self._backing.changes.notify(SUBMITTED)

    async def release(self, lease: Lease) -> None:
        """Puts the operation back as if it had not been started, for the next process."""
        async with self._held(lease) as (session, row):
            if row.cancel_requested is not None:
                await transitions.cancel(session, row, self._clock.now())
            else:
                transitions.requeue(session, row, None, self._clock.now())

    def _pause(self, failed_attempts: int) -> timedelta:
        # Up to half of it on top: operations that failed together do not return together.
        pause = self._settings.backoff * 2.0 ** (failed_attempts - 1)
        return timedelta(seconds=pause * (1 + self._jitter() / 2))

    @asynccontextmanager
    async def _held(self, lease: Lease) -> AsyncIterator[tuple[AsyncSession, OperationRow]]:
        async with self._backing.database.writing() as session:
            row = await session.get(OperationRow, lease.operation_id, with_for_update=True)
            if row is None or row.lease_owner != lease.owner or row.attempt != lease.attempt:
                raise LeaseLostError(f"{lease.operation_id} is not {lease.owner}'s any more")
            row.lease_expires = self._clock.now() + timedelta(seconds=self._settings.lease)
            before = row.last_sequence
            yield session, row
        if row.last_sequence != before:
            self._backing.changes.notify(events_of(lease.operation_id))
        self._backing.observe_end(row)
