"""Which REQUIRED fields a request lacks, read from its descriptor."""

from collections.abc import Container, Iterator
from functools import lru_cache
from typing import Final

from google.api import field_behavior_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from svckit.errors import FieldViolation

UPDATE_MASK: Final = "update_mask"
"""The field that makes a request a partial update (AIP-134)."""


class _Everything:
    """Contains every name."""

    def __contains__(self, _name: object) -> bool:
        return True


def missing_fields(request: Message) -> tuple[FieldViolation, ...]:
    """Returns every REQUIRED field that a request lacks, in nested messages too.

    A field lacks where it has its type's default: an unset message, an empty text or list, 0.
    OUTPUT_ONLY fields are not looked into. In a request with an ``update_mask`` a field of the
    resource is required only where the mask names it (AIP-203).

    Args:
        request: Any message.
    """
    names: Container[str] = _Everything()
    if UPDATE_MASK in request.DESCRIPTOR.fields_by_name:
        paths = request.update_mask.paths  # type: ignore[attr-defined]  # Checked just above.
        names = _Everything() if "*" in paths else frozenset(paths)
    return tuple(
        FieldViolation(path, "This field is required.")
        for path in _missing(request, "", _Everything(), names)
    )


def _missing(
    message: Message, prefix: str, names: Container[str], nested_names: Container[str]
) -> Iterator[str]:
    """Yields the paths of missing fields among `names`, below them among `nested_names`."""
    present = {field.name: value for field, value in message.ListFields()}
    for field in _relevant_fields(message.DESCRIPTOR):
        path = f"{prefix}{field.name}"
        if field.name not in names:
            continue
        if field.name not in present:
            if _has(field, field_behavior_pb2.REQUIRED):
                yield path
        elif field.message_type is None or field.message_type.GetOptions().map_entry:
            continue
        elif field.is_repeated:
            for index, item in enumerate(present[field.name]):
                yield from _missing(item, f"{path}[{index}].", _Everything(), _Everything())
        else:
            yield from _missing(present[field.name], f"{path}.", nested_names, _Everything())


@lru_cache(maxsize=1_024)
def _relevant_fields(descriptor: Descriptor) -> tuple[FieldDescriptor, ...]:
    """Returns the fields that are required or can hold one that is."""
    return tuple(
        field
        for field in descriptor.fields
        if (field.message_type is not None or _has(field, field_behavior_pb2.REQUIRED))
        and not _has(field, field_behavior_pb2.OUTPUT_ONLY)
    )


def _has(field: FieldDescriptor, behaviour: int) -> bool:
    return behaviour in field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
