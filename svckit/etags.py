"""Etags: a stale one means that somebody else changed the resource in between (AIP-154)."""

import hashlib

from sliceandpack.error.v1 import error_reason_pb2 as pb

from svckit.errors import Aborted


def etag_of(name: str, revision: int) -> str:
    """Returns the etag of a resource at a revision.

    Args:
        name: The resource's name.
        revision: A number that rises with every change of the resource.
    """
    return hashlib.sha256(f"{name}\n{revision}".encode()).hexdigest()[:16]


def check_etag(given: str, current: str, resource: str) -> None:
    """Refuses a change that was made against an old state of a resource.

    Args:
        given: The etag of the request; an empty one is not checked.
        current: The resource's etag now.
        resource: The resource's name.

    Raises:
        Aborted: ETAG_MISMATCH.
    """
    if given and given != current:
        raise Aborted(
            pb.ERROR_REASON_ETAG_MISMATCH,
            f"{resource} was changed since it was read.",
            advice="Read it again, and repeat the change with its new etag.",
            metadata={"resource": resource},
        )
