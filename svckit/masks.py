"""Update masks of partial updates (AIP-134)."""

from collections.abc import Collection

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from sliceandpack.error.v1 import error_reason_pb2 as pb

from svckit.errors import FieldViolation, InvalidArgument


def masked_fields(update: Message, mask: FieldMask, changeable: Collection[str]) -> tuple[str, ...]:
    """Returns the fields that an update changes, sorted.

    Args:
        update: The resource of the request.
        mask: The request's mask; an empty one means every changeable field that is set, ``*``
            every changeable field.
        changeable: The top-level fields that a client may change.

    Raises:
        InvalidArgument: FIELD_INVALID, naming every path that cannot be changed.
    """
    if not mask.paths:
        populated = {field.name for field, _ in update.ListFields()}
        return tuple(sorted(populated & set(changeable)))
    if list(mask.paths) == ["*"]:
        return tuple(sorted(changeable))
    wrong = sorted(set(mask.paths) - set(changeable))
    if wrong:
        known = ", ".join(sorted(changeable))
        raise InvalidArgument(
            pb.ERROR_REASON_FIELD_INVALID,
            f"update_mask names {', '.join(wrong)}.",
            advice=f"Only {known} can be changed.",
            metadata={"field": "update_mask"},
            violations=[
                FieldViolation("update_mask", f"{path} cannot be changed.") for path in wrong
            ],
        )
    return tuple(sorted(set(mask.paths)))
