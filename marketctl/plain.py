"""Messages as plain data: proto JSON with snake_case names and 64-bit integers as numbers."""

from __future__ import annotations

from typing import Any, Final

from google.protobuf import any_pb2, descriptor_pool, json_format, message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

_WIDE: Final = frozenset(
    {
        FieldDescriptor.TYPE_INT64,
        FieldDescriptor.TYPE_UINT64,
        FieldDescriptor.TYPE_SINT64,
        FieldDescriptor.TYPE_FIXED64,
        FieldDescriptor.TYPE_SFIXED64,
    }
)


def plain(message: Message) -> dict[str, Any]:
    """Returns a message as data for JSON or YAML.

    Proto's own JSON writes 64-bit integers as text, since JavaScript rounds them; scripts want
    numbers. A field without presence is there also when it has its default.

    Args:
        message: The message; what an ``Any`` in it holds must be known here.
    """
    written: dict[str, Any] = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    _widen(message, written)
    return written


def _widen(message: Message, written: dict[str, Any]) -> None:
    """Puts numbers in place of the texts of 64-bit integers, however deep."""
    for field, value in message.ListFields():
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            _widen_below(field, value, written[field.name])
    for declared in message.DESCRIPTOR.fields:
        if declared.type in _WIDE and declared.name in written:
            text = written[declared.name]
            written[declared.name] = [int(x) for x in text] if declared.is_repeated else int(text)


def _widen_below(field: FieldDescriptor, value: Any, written: Any) -> None:  # noqa: ANN401
    if field.message_type is None or field.message_type.GetOptions().map_entry:
        return  # The contracts' maps have text alone.
    pairs = zip(value, written, strict=True) if field.is_repeated else [(value, written)]
    for message, data in pairs:
        if isinstance(message, any_pb2.Any):
            _widen(_unpacked(message), data)
        elif isinstance(data, dict):
            _widen(message, data)


def _unpacked(held: any_pb2.Any) -> Message:
    # Its type is known here, or MessageToDict had failed.
    kind = descriptor_pool.Default().FindMessageTypeByName(held.TypeName())
    message = message_factory.GetMessageClass(kind)()
    held.Unpack(message)
    return message
