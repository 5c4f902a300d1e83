"""Fits what a submission says of its inputs to what its graph declares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import onnx_ir as ir

from onnxgraph.lookup import constant_of
from slicer_svc.errors import SubmissionError, SubmissionReason
from slicer_svc.slicing.augmentation import Augmentation, Words
from svckit.input_spec import ELEMENT_TYPES, FLOAT32, Image, InputSpec, Tensor, Text

# Grey, colour, and colour with an opacity.
_USUAL_CHANNELS: Final = (1, 3, 4)

_ADVICE: Final = "Declare each input by the graph's own name, with its shape, type and layout."

# A crop may move a picture by this share of its side: 4 of 32 pixels, as is usual, and 1 of 8.
_CROP_SHARE = 8


def complete_inputs(model: ir.Model, declared: Sequence[InputSpec]) -> tuple[InputSpec, ...]:
    """Returns one spec per graph input, in the graph's order, shapes and types filled in.

    Args:
        model: The normalised graph.
        declared: What the submission says; inputs that it leaves out are plain tensors.

    Raises:
        SubmissionError: INPUT_SEMANTICS_MISMATCH, naming the input.
    """
    by_name = {spec.name: spec for spec in declared}
    names = [str(value.name) for value in model.graph.inputs]
    for name in by_name:
        if name not in names:
            raise _mismatch(name, f"The graph has no input {name!r}: it has {', '.join(names)}.")
    completed = tuple(
        _completed(value, by_name.get(str(value.name))) for value in model.graph.inputs
    )
    for spec, value in zip(completed, model.graph.inputs, strict=True):
        if isinstance(spec.semantics, Text):
            _check_vocabulary(spec.name, spec.semantics, value)
    return completed


def _completed(value: ir.Value, declared: InputSpec | None) -> InputSpec:
    name = str(value.name)
    spec = declared or InputSpec(name, (), "", Tensor())
    assert value.shape is not None
    assert value.dtype is not None
    sizes = tuple(value.shape)[1:]
    element = value.dtype.numpy().name
    if element not in ELEMENT_TYPES or not all(isinstance(size, int) for size in sizes):
        raise _mismatch(name, f"The graph's input {name!r} is {element} {tuple(value.shape)}.")
    shape = tuple(int(size) for size in sizes if isinstance(size, int))
    if spec.shape not in ((), shape):
        raise _mismatch(name, f"{name} is declared as {spec.shape}, the graph has {shape}.")
    if spec.element_type not in ("", element):
        raise _mismatch(
            name, f"{name} is declared as {spec.element_type}, the graph has {element}."
        )
    completed = replace(spec, shape=shape, element_type=element)
    _check_semantics(completed)
    return completed


def _check_semantics(spec: InputSpec) -> None:
    match spec.semantics:
        case Image() as image:
            name = spec.name
            if len(spec.shape) != 3:
                raise _mismatch(name, f"{name} is {spec.shape}, an image has three axes.")
            _check_layout(spec)
            for given in (image.mean, image.deviation):
                if len(given) not in (0, spec.channels):
                    raise _mismatch(name, f"{name} has {spec.channels} channels, not {len(given)}.")
        case Text() if spec.element_type == FLOAT32:
            raise _mismatch(spec.name, f"{spec.name} is {FLOAT32}, tokens are integers.")


def _check_vocabulary(name: str, text: Text, tokens: ir.Value) -> None:
    """Refuses a vocabulary of which some tokens have no row in the table that they are read by."""
    for node, place in tokens.uses():
        table = constant_of(node.inputs[0]) if node.op_type == "Gather" and place == 1 else None
        if table is not None and len(table.numpy()) < text.vocabulary_size:
            raise _mismatch(
                name,
                f"{name} is text of {text.vocabulary_size} tokens, {node.name} looks them up in a "
                f"table of {len(table.numpy())} rows.",
                "Declare the size of the vocabulary that the model was trained with.",
            )


def _check_layout(spec: InputSpec) -> None:
    """Refuses a layout by which a shape has odd channels where the other one gives usual ones."""
    turned = replace(spec.image, channels_last=not spec.image.channels_last)
    other = replace(spec, semantics=turned)
    if spec.channels not in _USUAL_CHANNELS and other.channels in _USUAL_CHANNELS:
        raise _mismatch(
            spec.name,
            f"{spec.name} is {spec.shape}: {spec.channels} channels by the declared layout "
            f"{_layout(spec)}, {other.channels} by {_layout(other)}.",
            f"Declare the layout {_layout(other)}.",
        )


def _layout(spec: InputSpec) -> str:
    return "NHWC" if spec.image.channels_last else "NCHW"


def augmentation_for(specs: Sequence[InputSpec]) -> Augmentation:
    """Returns what may be done to samples.

    Views move all images of a sample together, so one layout must hold for all; where it does not,
    or where no input is an image, no image is moved. Words are replaced in every text.
    """
    texts = tuple(
        Words(spec.name, spec.semantics.vocabulary_size, spec.semantics.padding_id)
        for spec in specs
        if isinstance(spec.semantics, Text)
    )
    images = [spec for spec in specs if isinstance(spec.semantics, Image)]
    layouts = {spec.image.channels_last for spec in images}
    sides = {min(spec.size) for spec in images}  # The shorter ones, in pixels.
    if len(layouts) != 1 or len(sides) != 1:
        return Augmentation(texts=texts)
    return Augmentation(
        texts=texts,
        images=tuple(spec.name for spec in images),
        channels_last=layouts.pop(),
        flip=all(spec.image.flip_invariant for spec in images),
        pad=sides.pop() // _CROP_SHARE,
    )


def _mismatch(name: str, message: str, advice: str = _ADVICE) -> SubmissionError:
    return SubmissionError(
        SubmissionReason.INPUT_SEMANTICS_MISMATCH,
        message,
        advice=advice,
        metadata={"input": name},
    )
