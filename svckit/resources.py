"""What can go wrong with the name of any resource."""

from __future__ import annotations

from sliceandpack.error.v1 import error_reason_pb2 as reasons

from svckit.errors import AlreadyExists, NotFound


def missing(name: str) -> NotFound:
    """Returns the error for a name that no resource has."""
    return NotFound(
        reasons.ERROR_REASON_RESOURCE_NOT_FOUND,
        f"{name} does not exist.",
        advice="Look at the names in the list, and at the spelling.",
        metadata={"resource": name},
    )


def taken(name: str) -> AlreadyExists:
    """Returns the error for a name that a resource has already."""
    return AlreadyExists(
        reasons.ERROR_REASON_RESOURCE_EXISTS,
        f"{name} exists already.",
        advice="Choose another id, or delete the resource first.",
        metadata={"resource": name},
    )
