"""Inputs on their way from a request into a row and back."""

from __future__ import annotations

import json

import pytest
from sliceandpack.slicer.v1 import input_spec_pb2 as pb

from svckit.input_messages import decode_input, encode_input
from svckit.input_spec import Image, InputSpec, Tensor, Text

SPECS = [
    InputSpec("x", (3, 24, 32), "float32", Image(False, 0.0, 255.0, (1.0, 2.0, 3.0), (4.0,) * 3)),
    InputSpec("x", (24, 32, 3), "uint8", Image(True, 0.0, 255.0, flip_invariant=True)),
    InputSpec("numbers", (7,), "float32", Tensor()),
    InputSpec("numbers", (7,), "int32", Tensor(-1.0, 1.0)),
    InputSpec("tokens", (128,), "int64", Text("sha256:" + "a" * 64, 30_000, 1)),
]


@pytest.mark.parametrize("spec", SPECS)
def test_an_input_survives_its_message_and_its_row(spec: InputSpec) -> None:
    assert decode_input(encode_input(spec)) == spec
    assert InputSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


def test_what_a_message_leaves_out_is_left_open() -> None:
    assert decode_input(pb.InputSpec(name="x")) == InputSpec("x", (), "", Tensor())
    open_spec = InputSpec("x", (), "", Tensor())
    assert InputSpec.from_json(json.loads(json.dumps(open_spec.to_json()))) == open_spec


def test_an_image_without_a_layout_has_its_channels_first() -> None:
    message = pb.InputSpec(name="x")
    message.image.value_range.maximum = 1.0
    assert decode_input(message).semantics == Image(False, 0.0, 1.0)


@pytest.mark.parametrize("spec", SPECS[:2])
def test_a_layout_says_which_axes_are_channels_and_size(spec: InputSpec) -> None:
    assert (spec.kind, spec.channels, spec.size) == ("image", 3, (24, 32))


@pytest.mark.parametrize("spec", SPECS[2:])
def test_what_is_no_image_has_no_channels(spec: InputSpec) -> None:
    with pytest.raises(TypeError, match=spec.name):
        _ = spec.channels
