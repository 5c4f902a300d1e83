"""Rows of operations as messages of google.longrunning, and names of operations."""

import uuid
from datetime import datetime
from typing import TypeVar

from google.longrunning import operations_pb2
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import status_pb2
from sliceandpack.error.v1 import error_reason_pb2 as reasons
from sliceandpack.operation.v1.operation_events_pb2 import (
    OperationEvent,
    OperationMetadata,
    Progress,
    State,
)

from svckit.errors import FieldViolation, InvalidArgument, NotFound
from svckit.operations.tables import OperationEventRow, OperationRow

COLLECTION = "operations"

M = TypeVar("M", bound=Message)


def new_id() -> str:
    """Returns a fresh operation id that nobody can guess."""
    return "o" + uuid.uuid4().hex[:24]


def to_name(operation_id: str) -> str:
    """Returns the resource name of an operation id."""
    return f"{COLLECTION}/{operation_id}"


def to_id(name: str) -> str:
    """Returns the id in the resource name of an operation.

    Raises:
        InvalidArgument: If it is not such a name.
    """
    collection, slash, operation_id = name.partition("/")
    if collection != COLLECTION or not slash or not operation_id or "/" in operation_id:
        raise InvalidArgument(
            reasons.ERROR_REASON_FIELD_INVALID,
            f"{name!r} is not the name of an operation.",
            advice="Use the name that the call returned which started the operation.",
            metadata={"field": "name"},
            violations=[FieldViolation("name", 'must look like "operations/{operation}"')],
        )
    return operation_id


def not_found(name: str) -> NotFound:
    """Returns the error for an operation that there is not, or no more."""
    return NotFound(
        reasons.ERROR_REASON_RESOURCE_NOT_FOUND,
        f"There is no operation {name!r}.",
        advice="List the operations to see those that are kept; they are purged after 30 days.",
        metadata={"resource": name},
    )


def pack(message: Message) -> bytes:
    """Returns a message with its type, as a serialized `google.protobuf.Any`."""
    packed = AnyMessage()
    packed.Pack(message, deterministic=True)
    return packed.SerializeToString(deterministic=True)


def unpack(packed: bytes, message_type: type[M]) -> M:
    """Returns the message in a serialized `google.protobuf.Any`.

    Raises:
        TypeError: If it is of another type.
    """
    wrapped = AnyMessage.FromString(packed)
    message = message_type()
    if not wrapped.Unpack(message):
        raise TypeError(f"{wrapped.TypeName()} is not a {message_type.DESCRIPTOR.full_name}")
    return message


def to_operation(row: OperationRow) -> operations_pb2.Operation:
    """Returns what a client sees of an operation."""
    operation = operations_pb2.Operation(name=to_name(row.id))
    operation.metadata.Pack(_metadata(row))
    if row.response is not None:
        operation.done = True
        operation.response.ParseFromString(row.response)
    elif row.error is not None:
        operation.done = True
        operation.error.CopyFrom(status_pb2.Status.FromString(row.error))
    return operation


def to_event(row: OperationEventRow) -> OperationEvent:
    """Returns what a watcher sees of an event."""
    return OperationEvent(
        name=to_name(row.operation_id),
        sequence=row.sequence,
        event_time=_timestamp(row.event_time),
        state=_state(row.state),
        progress=Progress.FromString(row.progress),
    )


def _metadata(row: OperationRow) -> OperationMetadata:
    return OperationMetadata(
        kind=row.kind,
        target=row.target,
        state=_state(row.state),
        progress=Progress.FromString(row.progress),
        create_time=_timestamp(row.create_time),
        start_time=_timestamp(row.start_time),
        end_time=_timestamp(row.end_time),
        attempt=row.attempt,
        last_sequence=row.last_sequence,
    )


def _state(state: str) -> "State.ValueType":
    return State.Value(f"STATE_{state}")


def _timestamp(instant: datetime | None) -> Timestamp | None:
    if instant is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(instant)
    return stamp
