"""Changes of one operation's row inside a transaction, each with its event."""

from datetime import datetime

from google.rpc import status_pb2
from sliceandpack.error.v1 import error_reason_pb2 as reasons
from sliceandpack.operation.v1.operation_events_pb2 import Progress
from sqlalchemy.ext.asyncio import AsyncSession

from svckit.errors import Cancelled, ResourceExhausted
from svckit.operations.messages import to_name
from svckit.operations.tables import OperationEventRow, OperationRow, OperationState
from svckit.status import to_status


def record(session: AsyncSession, row: OperationRow, now: datetime) -> None:
    """Adds an event that says where the operation stands."""
    row.last_sequence += 1
    session.add(
        OperationEventRow(
            operation_id=row.id,
            sequence=row.last_sequence,
            event_time=now,
            state=row.state,
            progress=row.progress,
        )
    )


def start(session: AsyncSession, row: OperationRow, now: datetime) -> None:
    """Begins another attempt."""
    row.state = OperationState.RUNNING
    row.attempt += 1
    row.start_time = now
    record(session, row, now)


async def succeed(session: AsyncSession, row: OperationRow, response: bytes, now: datetime) -> None:
    """Ends an operation with a response, a serialized `google.protobuf.Any`.

    Its last progress says that all parts are done: handlers report the part that they begin.
    """
    row.response = response
    progress = Progress.FromString(row.progress)
    progress.done = progress.total
    progress.eta_seconds = 0.0
    row.progress = progress.SerializeToString(deterministic=True)
    await _end(session, row, OperationState.SUCCEEDED, now)


async def fail(
    session: AsyncSession, row: OperationRow, error: status_pb2.Status, now: datetime
) -> None:
    """Ends an operation with an error."""
    row.error = error.SerializeToString(deterministic=True)
    await _end(session, row, OperationState.FAILED, now)


async def cancel(session: AsyncSession, row: OperationRow, now: datetime) -> None:
    """Ends an operation because someone wanted it to end."""
    name = to_name(row.id)
    error = Cancelled(
        reasons.ERROR_REASON_CANCELLED,
        f"The operation {name!r} was cancelled.",
        advice="Send the request again with a new request_id to start over.",
        metadata={"operation": name},
    )
    row.error = to_status(error).SerializeToString(deterministic=True)
    await _end(session, row, OperationState.CANCELLED, now)


def requeue(
    session: AsyncSession, row: OperationRow, not_before: datetime | None, now: datetime
) -> None:
    """Puts a running operation back into the queue, to be claimed from `not_before` on."""
    row.state = OperationState.QUEUED
    row.not_before = not_before
    row.lease_owner = None
    row.lease_expires = None
    record(session, row, now)


def exhausted(row: OperationRow) -> status_pb2.Status:
    """Returns the error of an operation during whose attempts the process died each time."""
    error = ResourceExhausted(
        reasons.ERROR_REASON_ATTEMPTS_EXHAUSTED,
        f"The operation was started {row.attempt} times and never came to its end.",
        advice="Look into the log of the service for what ends it; if it was an accident from "
        "outside, send the request again with a new request_id.",
        metadata={"attempts": str(row.attempt), "cause": "PROCESS_DIED"},
    )
    return to_status(error)


async def _end(
    session: AsyncSession, row: OperationRow, state: OperationState, now: datetime
) -> None:
    row.state = state
    row.end_time = now
    row.lease_owner = None
    row.lease_expires = None
    row.not_before = None
    record(session, row, now)
    if row.abandoned:
        await session.flush()
        await session.delete(row)
