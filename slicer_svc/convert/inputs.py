"""Between `slicer.v1.InputSpec` and `InputSpec`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from sliceandpack.slicer.v1 import input_spec_pb2 as pb

from slicer_svc.input_spec import ELEMENT_TYPES, Image, InputSpec, Semantics, Tensor, Text
from svckit.artifacts.digests import is_digest
from svckit.errors import FieldViolation

_PREFIX = "ELEMENT_TYPE_"


def decode_input(message: pb.InputSpec) -> InputSpec:
    """Returns what a checked message says."""
    element = None
    if message.element_type:
        element = pb.ElementType.Name(message.element_type).removeprefix(_PREFIX).lower()
    return InputSpec(message.name, tuple(message.shape) or None, element, _semantics(message))


def _semantics(message: pb.InputSpec) -> Semantics:
    match message.WhichOneof("semantics"):
        case "image":
            image = message.image
            return Image(
                channels_last=image.layout == pb.IMAGE_LAYOUT_NHWC,
                minimum=image.value_range.minimum,
                maximum=image.value_range.maximum,
                mean=tuple(image.mean),
                deviation=tuple(image.standard_deviation),
                flip_invariant=image.flip_invariant,
            )
        case "text":
            text = message.text
            return Text(text.vocabulary_digest, text.vocabulary_size, text.padding_id)
        case _:
            if not message.tensor.HasField("value_range"):
                return Tensor()
            bounds = message.tensor.value_range
            return Tensor(bounds.minimum, bounds.maximum)


def encode_input(spec: InputSpec) -> pb.InputSpec:
    """Returns the message of an input."""
    message = pb.InputSpec(name=spec.name, shape=spec.shape or ())
    if spec.element_type in ELEMENT_TYPES:
        message.element_type = pb.ElementType.Value(_PREFIX + spec.element_type.upper())
    match spec.semantics:
        case Image() as image:
            layout = pb.IMAGE_LAYOUT_NHWC if image.channels_last else pb.IMAGE_LAYOUT_NCHW
            message.image.layout = layout
            message.image.value_range.minimum = image.minimum
            message.image.value_range.maximum = image.maximum
            message.image.mean.extend(image.mean)
            message.image.standard_deviation.extend(image.deviation)
            message.image.flip_invariant = image.flip_invariant
        case Text() as text:
            message.text.vocabulary_digest = text.vocabulary_digest
            message.text.vocabulary_size = text.vocabulary_size
            message.text.padding_id = text.padding_id
        case Tensor(minimum, maximum):
            message.tensor.SetInParent()
            if minimum is not None and maximum is not None:
                message.tensor.value_range.minimum = minimum
                message.tensor.value_range.maximum = maximum
    return message


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
