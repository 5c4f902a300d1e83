"""Between `slicer.v1.InputSpec` and `InputSpec`."""

from __future__ import annotations

from typing import Final

from sliceandpack.slicer.v1 import input_spec_pb2 as pb

from svckit.input_spec import Image, InputSpec, Semantics, Tensor, Text

_PREFIX: Final = "ELEMENT_TYPE_"


def decode_input(message: pb.InputSpec) -> InputSpec:
    """Returns what a checked message says; what it leaves out is empty."""
    element = ""
    if message.element_type:
        element = pb.ElementType.Name(message.element_type).removeprefix(_PREFIX).lower()
    return InputSpec(message.name, tuple(message.shape), element, _semantics(message))


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
    message = pb.InputSpec(name=spec.name, shape=spec.shape)
    if spec.element_type:
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
