"""Between `slicer.v1.Reference` and `ReferenceRow`."""

from __future__ import annotations

from sliceandpack.slicer.v1 import references_pb2 as pb

from slicer_svc.store.tables import ReferenceRow


def encode_reference(row: ReferenceRow) -> pb.Reference:
    """Returns the message of a reference."""
    message = pb.Reference(name=row.name, holder=row.holder, fragments=row.fragments)
    message.expire_time.FromDatetime(row.expire_time)
    message.create_time.FromDatetime(row.create_time)
    return message
