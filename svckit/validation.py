"""Refuses a request with all that is wrong with it at once, and answers `validate_only`."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Final

from google.longrunning import operations_pb2
from google.protobuf.message import Message
from sliceandpack.error.v1 import error_reason_pb2 as reasons

from svckit.errors import FieldViolation, InvalidArgument

# No status holds more; a flood of them would keep the event loop busy.
_MOST: Final = 100


def refuse(violations: Iterable[FieldViolation]) -> None:
    """Raises for broken rules, if there are any.

    Raises:
        InvalidArgument: FIELD_INVALID with the broken rules, the first hundred if there are more.
    """
    found = tuple(islice(violations, _MOST))
    if found:
        first = found[0]
        raise InvalidArgument(
            reasons.ERROR_REASON_FIELD_INVALID,
            "; ".join(f"{one.field}: {one.description}" for one in found[:10]),
            advice="Correct the named fields and send the request again.",
            metadata={"field": first.field},
            violations=found,
        )


def validated(resource: Message) -> operations_pb2.Operation:
    """Returns the answer to a request with `validate_only` that would have been taken.

    Args:
        resource: The resource as it was sent.

    Returns:
        An operation without a name that is done; nothing was kept.
    """
    operation = operations_pb2.Operation(done=True)
    operation.response.Pack(resource)
    return operation
