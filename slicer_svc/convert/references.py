"""Between `slicer.v1.Reference` and `ReferenceRow`."""

from __future__ import annotations

from datetime import UTC, datetime

from sliceandpack.slicer.v1 import references_pb2 as pb

from slicer_svc.store.tables import ReferenceRow
from svckit.etags import etag_of


def encode_reference(row: ReferenceRow) -> pb.Reference:
    """Returns the message of a reference."""
    message = pb.Reference(name=row.name, holder=row.holder, fragments=row.fragments)
    # The time of its end is all that can change.
    message.etag = etag_of(row.name, int(row.expire_time.timestamp() * 1e6))
    message.expire_time.FromDatetime(row.expire_time)
    message.create_time.FromDatetime(row.create_time)
    return message


def decode_expire_time(message: pb.Reference) -> datetime | None:
    """Returns when a reference is to end; None for a time that no calendar has."""
    try:
        return message.expire_time.ToDatetime(UTC)
    except (ValueError, OverflowError):
        return None
