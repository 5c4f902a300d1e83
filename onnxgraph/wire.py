"""A look at the protobuf encoding of a model before anything is built from it.

Parsing allocates for every message: two gigabytes of empty two-byte nodes would become a hundred
gigabytes of objects. This walk reads tags and lengths only, stops at the first cap that is
exceeded, and so bounds what the parser will allocate.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from onnx import ModelProto

from onnxgraph.errors import GraphError, GraphReason
from onnxgraph.limits import Limits

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_PACKED_VARINTS = frozenset(
    {
        FieldDescriptor.TYPE_INT32,
        FieldDescriptor.TYPE_INT64,
        FieldDescriptor.TYPE_UINT64,
        FieldDescriptor.TYPE_ENUM,
    }
)
_NOT_ONNX_ADVICE = "Upload the file exactly as torch.onnx.export or another exporter wrote it."


def not_onnx(message: str) -> GraphError:
    """The error for bytes that are no ONNX model."""
    return GraphError(GraphReason.GRAPH_NOT_ONNX, message, advice=_NOT_ONNX_ADVICE)


def too_large(what: str, size: int, limit: int, node: str | None = None) -> GraphError:
    """The error for a cap that is exceeded.

    Args:
        what: What has the size, as the subject of a sentence.
        size: The size found (at least).
        limit: The cap.
        node: The node or tensor that has the size.
    """
    return GraphError(
        GraphReason.GRAPH_TOO_LARGE,
        f"{what}: {size:,}, the limit is {limit:,}.",
        advice="Submit a smaller model.",
        node=node,
        metadata={"size": str(size), "limit": str(limit)},
    )


@dataclass
class _Budget:
    """What the walk may still meet."""

    limits: Limits
    fields: int = 0
    packed: int = 0

    def count(self, packed: int = 0) -> None:
        self.fields += 1
        self.packed += packed
        if self.fields > self.limits.fields:
            raise too_large("Protobuf fields", self.fields, self.limits.fields)
        if self.packed > self.limits.packed_bytes:
            raise too_large("Bytes of packed integers", self.packed, self.limits.packed_bytes)


def check_encoding(data: bytes, limits: Limits) -> None:
    """Checks that the bytes are well-formed protobuf within the limits.

    Args:
        data: The serialized `ModelProto`.
        limits: The caps: bytes, fields, packed integers and nesting.

    Raises:
        GraphError: `GRAPH_NOT_ONNX` for malformed or truncated bytes, `GRAPH_TOO_LARGE` for a cap.
    """
    if len(data) > limits.bytes:
        raise too_large("Bytes of the model", len(data), limits.bytes)
    if not data:
        raise not_onnx("The file is empty.")
    budget = _Budget(limits)
    view = memoryview(data)
    root = cast(Descriptor, ModelProto.DESCRIPTOR)
    pending: list[tuple[Descriptor, int, int, int]] = [(root, 0, len(data), 1)]
    while pending:
        descriptor, start, end, depth = pending.pop()
        if depth > limits.nesting:
            raise too_large("Nesting of messages", depth, limits.nesting)
        for message, first, last in _messages(view, descriptor, start, end, budget):
            pending.append((message, first, last, depth + 1))


def _messages(
    view: memoryview, descriptor: Descriptor, start: int, end: int, budget: _Budget
) -> Iterator[tuple[Descriptor, int, int]]:
    """Walks the fields of one message and yields where its submessages lie."""
    fields = descriptor.fields_by_number
    position = start
    while position < end:
        tag, position = _varint(view, position, end)
        number, wire_type = tag >> 3, tag & 7
        size = 0
        if wire_type == _VARINT:
            _, position = _varint(view, position, end)
        elif wire_type == _FIXED64:
            size = 8
        elif wire_type == _FIXED32:
            size = 4
        elif wire_type == _LENGTH:
            size, position = _varint(view, position, end)
        else:
            raise not_onnx(f"Byte {position} holds no protobuf field.")
        if number == 0 or size > end - position:
            raise not_onnx(f"The file ends within a field, or is damaged, at byte {position}.")
        field = fields.get(number)
        packed = wire_type == _LENGTH and field is not None and field.type in _PACKED_VARINTS
        budget.count(size if packed else 0)
        if wire_type == _LENGTH and field is not None:
            if field.type == FieldDescriptor.TYPE_STRING:
                _check_text(view[position : position + size], position)
            elif field.message_type is not None:
                yield field.message_type, position, position + size
        position += size


def _check_text(text: memoryview, position: int) -> None:
    """Refuses a string that is no UTF-8: protobuf would hand it on as bytes."""
    try:
        str(text, "utf-8")
    except UnicodeDecodeError as error:
        raise not_onnx(f"The text at byte {position} is not UTF-8.") from error


def _varint(view: memoryview, position: int, end: int) -> tuple[int, int]:
    """Reads one base-128 integer; returns it and the position after it."""
    value = shift = 0
    while position < end and shift < 70:
        byte = view[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise not_onnx(f"The file ends within a number, or is damaged, at byte {position}.")
