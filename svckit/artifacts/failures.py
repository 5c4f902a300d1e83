"""What can go wrong with artifacts, each with its code, reason and advice."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sliceandpack.error.v1 import error_reason_pb2 as pb

from svckit.artifacts.digests import artifact_name
from svckit.errors import (
    Aborted,
    DataLoss,
    InvalidArgument,
    NotFound,
    OutOfRange,
    ResourceExhausted,
)

_DISK_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


def not_found(digest: str) -> NotFound:
    """Returns the error for an artifact that is not stored."""
    return NotFound(
        pb.ERROR_REASON_RESOURCE_NOT_FOUND,
        "The artifact is not stored here.",
        advice="Upload the artifact, then try again.",
        metadata={"resource": artifact_name(digest)},
    )


def upload_mismatch(expected: str, actual: str) -> InvalidArgument:
    """Returns the error for received bytes that are not what their name says."""
    return InvalidArgument(
        pb.ERROR_REASON_DIGEST_MISMATCH,
        "The bytes received do not have the digest that names them; they were dropped.",
        advice="Upload the artifact again from offset 0.",
        metadata={"expected": expected, "actual": actual},
    )


def damaged(digest: str, actual: str) -> DataLoss:
    """Returns the error for stored bytes that have changed on disk."""
    return DataLoss(
        pb.ERROR_REASON_DIGEST_MISMATCH,
        "The stored bytes are damaged; they were taken out of the store.",
        advice="Discard what was read and upload the artifact again.",
        metadata={"expected": digest, "actual": actual},
    )


def write_offset_invalid(committed_size: int) -> OutOfRange:
    """Returns the error for a chunk that does not start where the upload stands."""
    return OutOfRange(
        pb.ERROR_REASON_WRITE_OFFSET_INVALID,
        f"The chunk does not start at byte {committed_size}, where the upload stands.",
        advice="Ask QueryWriteStatus for the committed size and go on from there.",
        metadata={"committed_size": str(committed_size)},
    )


def too_large(limit_bytes: int) -> InvalidArgument:
    """Returns the error for an artifact above the size limit."""
    return InvalidArgument(
        pb.ERROR_REASON_ARTIFACT_TOO_LARGE,
        f"The artifact is larger than {limit_bytes} bytes; what came was dropped.",
        advice="Send a smaller artifact.",
        metadata={"limit_bytes": str(limit_bytes)},
    )


def upload_incomplete(committed_size: int) -> Aborted:
    """Returns the error for an upload whose stream ended before its last chunk."""
    return Aborted(
        pb.ERROR_REASON_UPLOAD_INCOMPLETE,
        f"The upload ended before its last chunk; {committed_size} bytes are kept for a while.",
        advice="Go on from the committed size, with finish_write in the last chunk.",
        metadata={"committed_size": str(committed_size)},
    )


def read_out_of_range(size_bytes: int) -> OutOfRange:
    """Returns the error for a read that starts behind the end of the artifact."""
    return OutOfRange(
        pb.ERROR_REASON_READ_OUT_OF_RANGE,
        f"The read starts behind the artifact's {size_bytes} bytes.",
        advice="Read from an offset of at most the artifact's size.",
        metadata={"size_bytes": str(size_bytes)},
    )


@contextmanager
def full_disk_is_an_answer() -> Iterator[None]:
    """Turns a full disk or an exhausted quota into RESOURCE_EXHAUSTED.

    Raises:
        ResourceExhausted: STORAGE_FULL, the block met ENOSPC or EDQUOT.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK_FULL:
            raise
        raise ResourceExhausted(
            pb.ERROR_REASON_STORAGE_FULL,
            "The disk of the service is full; nothing of this upload was kept.",
            advice="Delete what is no longer needed or ask the operator for space, then try again.",
        ) from error
