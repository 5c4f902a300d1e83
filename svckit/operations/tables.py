"""The tables of operations, of their events, and of answered request ids."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from svckit.database.schema import KitBase


class OperationState(StrEnum):
    """Where an operation stands; the names of `operation.v1.State` without their prefix."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def final(self) -> bool:
        """Whether an operation in this state stays in it."""
        return self not in (OperationState.QUEUED, OperationState.RUNNING)


class OperationRow(KitBase):
    """One operation.

    Attributes:
        id: The last part of the name "operations/{id}".
        kind: Which handler runs it, such as "SliceModel".
        target: The resource that it is about, for people.
        request: The serialized `google.protobuf.Any` of what was asked for.
        principal: Who asked; empty while there are no tokens.
        state: An `OperationState`.
        attempt: How often it was started.
        failed_attempts: How many of the starts ended by a crash or a fault that may pass.
        not_before: A retry waits until then.
        lease_owner: The runner that works on it; null if none does.
        lease_expires: From then on another runner may take it over.
        cancel_requested: When someone wanted it to end.
        abandoned: Nobody wants its result: it is hidden, and deleted when it ends.
        scratch: What its handler wants to find again after a crash.
        progress: The last written `operation.v1.Progress`, serialized.
        response: The serialized Any of the result, once it succeeded.
        error: The serialized `google.rpc.Status`, once it failed or was cancelled.
        last_sequence: The number of its last event.
        create_time: When it was asked for.
        start_time: When it was last started.
        end_time: When it ended.
    """

    __tablename__ = "operations"
    __table_args__ = (
        Index("ix_operations_state_create_time", "state", "create_time"),
        Index("ix_operations_end_time", "end_time"),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    kind: Mapped[str] = mapped_column(String(128))
    target: Mapped[str] = mapped_column(String(512))
    request: Mapped[bytes]
    principal: Mapped[str] = mapped_column(String(256))
    state: Mapped[str] = mapped_column(String(16))
    attempt: Mapped[int] = mapped_column(Integer, default=0)
    failed_attempts: Mapped[int] = mapped_column(Integer, default=0)
    not_before: Mapped[datetime | None]
    lease_owner: Mapped[str | None] = mapped_column(String(128))
    lease_expires: Mapped[datetime | None]
    cancel_requested: Mapped[datetime | None]
    abandoned: Mapped[bool] = mapped_column(default=False)
    scratch: Mapped[dict[str, Any]] = mapped_column(default=dict)
    progress: Mapped[bytes] = mapped_column(default=b"")
    response: Mapped[bytes | None]
    error: Mapped[bytes | None]
    last_sequence: Mapped[int] = mapped_column(default=0)
    create_time: Mapped[datetime]
    start_time: Mapped[datetime | None]
    end_time: Mapped[datetime | None]


class OperationEventRow(KitBase):
    """One event of an operation, numbered from 1 on within it.

    Attributes:
        operation_id: The operation's id.
        sequence: The event's number.
        event_time: When it happened.
        state: The `OperationState` after it.
        progress: The serialized `operation.v1.Progress` after it.
    """

    __tablename__ = "operation_events"

    operation_id: Mapped[str] = mapped_column(
        String(64), ForeignKey("operations.id", ondelete="CASCADE"), primary_key=True
    )
    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    event_time: Mapped[datetime]
    state: Mapped[str] = mapped_column(String(16))
    progress: Mapped[bytes]


class RequestIdRow(KitBase):
    """The first answer to a request id.

    Attributes:
        method: The method or kind of work that the id was sent to.
        principal: Who sent it: ids of two clients never meet.
        request_id: The id.
        digest: SHA-256 of the request, in hex.
        response: The serialized first response.
        create_time: When it was answered.
    """

    __tablename__ = "request_ids"
    __table_args__ = (Index("ix_request_ids_create_time", "create_time"),)

    method: Mapped[str] = mapped_column(String(128), primary_key=True)
    principal: Mapped[str] = mapped_column(String(256), primary_key=True)
    request_id: Mapped[str] = mapped_column(String(256), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64))
    response: Mapped[bytes]
    create_time: Mapped[datetime]
