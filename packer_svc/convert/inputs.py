"""Between `slicer.v1.InputSpec` and `Input`."""

from __future__ import annotations

from sliceandpack.slicer.v1 import input_spec_pb2 as pb

from packer_svc.fusion.inputs import Input, Meaning, Numbers, Picture, Text

_PREFIX = "ELEMENT_TYPE_"


def decode_input(message: pb.InputSpec) -> Input:
    """Returns what the slicer says of an input."""
    element = pb.ElementType.Name(message.element_type).removeprefix(_PREFIX).lower()
    return Input(message.name, tuple(message.shape), element, _meaning(message))


def _meaning(message: pb.InputSpec) -> Meaning:
    match message.WhichOneof("semantics"):
        case "image":
            image = message.image
            return Picture(
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
                return Numbers()
            bounds = message.tensor.value_range
            return Numbers(bounds.minimum, bounds.maximum)


def encode_input(one: Input) -> pb.InputSpec:
    """Returns the message of an input."""
    message = pb.InputSpec(name=one.name, shape=one.shape)
    message.element_type = pb.ElementType.Value(_PREFIX + one.element_type.upper())
    match one.meaning:
        case Picture() as picture:
            last = picture.channels_last
            message.image.layout = pb.IMAGE_LAYOUT_NHWC if last else pb.IMAGE_LAYOUT_NCHW
            message.image.value_range.minimum = picture.minimum
            message.image.value_range.maximum = picture.maximum
            message.image.mean.extend(picture.mean)
            message.image.standard_deviation.extend(picture.deviation)
            message.image.flip_invariant = picture.flip_invariant
        case Text() as text:
            message.text.vocabulary_digest = text.vocabulary_digest
            message.text.vocabulary_size = text.vocabulary_size
            message.text.padding_id = text.padding_id
        case Numbers(minimum, maximum):
            message.tensor.SetInParent()
            if minimum is not None and maximum is not None:
                message.tensor.value_range.minimum = minimum
                message.tensor.value_range.maximum = maximum
    return message
