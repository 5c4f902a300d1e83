"""The rules of a submission's `slicer.v1.InputSpec`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from sliceandpack.slicer.v1 import input_spec_pb2 as pb

from svckit.artifacts.digests import is_digest
from svckit.errors import FieldViolation


def input_violations(messages: Sequence[pb.InputSpec], field: str) -> Iterator[FieldViolation]:
    """Yields every broken rule of a model's inputs.

    Args:
        messages: The inputs.
        field: The path of the field that holds them.
    """
    times = Counter(message.name for message in messages)
    for place, message in enumerate(messages):
        path = f"{field}[{place}]"
        if times[message.name] > 1:
            yield FieldViolation(f"{path}.name", f"the name {message.name!r} is there twice")
        if any(size < 1 for size in message.shape):
            yield FieldViolation(f"{path}.shape", "every size is at least 1")
        if message.element_type not in pb.ElementType.values():
            yield FieldViolation(f"{path}.element_type", "no such type")
        match message.WhichOneof("semantics"):
            case "image":
                yield from _image_violations(message, f"{path}.image")
            case "text":
                yield from _text_violations(message.text, f"{path}.text")
            case "tensor" if message.tensor.HasField("value_range"):
                bounds = message.tensor.value_range
                yield from _range_violations(bounds, f"{path}.tensor.value_range")


def _text_violations(text: pb.TextSemantics, path: str) -> Iterator[FieldViolation]:
    if not is_digest(text.vocabulary_digest):
        yield FieldViolation(f"{path}.vocabulary_digest", "it has the form sha256:<hex>")
    if text.vocabulary_size < 1:
        yield FieldViolation(f"{path}.vocabulary_size", "it is at least 1")
    if not 0 <= text.padding_id < max(1, text.vocabulary_size):
        yield FieldViolation(f"{path}.padding_id", "it is a token of the vocabulary")


def _image_violations(message: pb.InputSpec, path: str) -> Iterator[FieldViolation]:
    image = message.image
    if image.layout not in pb.ImageLayout.values():
        yield FieldViolation(f"{path}.layout", "no such layout")
    yield from _range_violations(image.value_range, f"{path}.value_range")
    if message.shape and len(message.shape) != 3:
        yield FieldViolation(path, "an image has three axes besides the batch")
    for name, values in (("mean", image.mean), ("standard_deviation", image.standard_deviation)):
        if not all(map(math.isfinite, values)):
            yield FieldViolation(f"{path}.{name}", "every value is finite")
    if any(value <= 0 for value in image.standard_deviation):
        yield FieldViolation(f"{path}.standard_deviation", "every value is above 0")


def _range_violations(bounds: pb.ValueRange, path: str) -> Iterator[FieldViolation]:
    finite = math.isfinite(bounds.minimum) and math.isfinite(bounds.maximum)
    if not finite or bounds.minimum >= bounds.maximum:
        yield FieldViolation(path, "minimum and maximum are finite, and minimum is the smaller")
