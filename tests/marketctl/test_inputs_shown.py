"""How the command line names inputs."""

from __future__ import annotations

from sliceandpack.slicer.v1 import input_spec_pb2 as pb

from marketctl.inputs import input_text


def test_a_picture_is_told_with_what_submitting_it_took() -> None:
    spec = pb.InputSpec(name="x", shape=[3, 8, 8], element_type=pb.ELEMENT_TYPE_FLOAT32)
    spec.image.value_range.maximum = 1
    assert input_text(spec) == "x (3, 8, 8) float32, image, 0 to 1"
    spec.image.mean.extend([0.5, 0.4, 0.3])
    spec.image.standard_deviation.extend([0.25])
    assert input_text(spec).endswith("0 to 1, normalised by mean 0.5,0.4,0.3 and std 0.25")


def test_texts_and_numbers_are_told_apart() -> None:
    text = pb.InputSpec(name="words", text=pb.TextSemantics(vocabulary_size=9))
    assert input_text(text) == "words, text of 9 tokens"
    assert input_text(pb.InputSpec(name="rows", tensor=pb.TensorSemantics())) == "rows, tensor"
