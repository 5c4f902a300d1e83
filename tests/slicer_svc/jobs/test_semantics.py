"""What may be done to samples follows from what the submission says of its inputs."""

from __future__ import annotations

import onnx_ir as ir
import pytest

from slicer_svc.errors import SubmissionError, SubmissionReason
from slicer_svc.jobs.semantics import augmentation_for, complete_inputs
from slicer_svc.slicing.augmentation import Augmentation, Words
from svckit.input_spec import Image, InputSpec, Tensor, Text
from tests.helpers.graph_texts import parse

DIGEST = "sha256:" + "0" * 64

TWO_INPUTS = """
two (float[batch, 3, 16, 8] left, int64[batch, 4] right) => (float[batch, 3, 16, 8] out)
{ out = Identity (left) }
"""


def model() -> ir.Model:
    return ir.serde.deserialize_model(parse(TWO_INPUTS))


def picture(name: str, side: int = 32, **facts: object) -> InputSpec:
    image = Image(False, 0.0, 1.0, flip_invariant=bool(facts.get("flip", False)))
    return InputSpec(name, (3, side, side), "float32", image)


def test_inputs_come_in_the_order_of_the_graph_with_shapes_and_types() -> None:
    left = InputSpec("left", (), "", Image(False, 0.0, 1.0))
    assert complete_inputs(model(), [left]) == (
        InputSpec("left", (3, 16, 8), "float32", Image(False, 0.0, 1.0)),
        InputSpec("right", (4,), "int64", Tensor()),
    )


@pytest.mark.parametrize(
    "spec",
    [
        InputSpec("middle", (), "", Tensor()),
        InputSpec("left", (3, 8, 16), "", Tensor()),
        InputSpec("left", (), "uint8", Tensor()),
        InputSpec("right", (), "", Image(False, 0.0, 1.0)),
        InputSpec("left", (), "", Image(False, 0.0, 1.0, mean=(0.5,))),
        InputSpec("left", (), "", Image(True, 0.0, 1.0, deviation=(1.0,) * 3)),
        InputSpec("left", (), "", Text(DIGEST, 10, 0)),
    ],
    ids=["name", "shape", "type", "axes", "means", "deviations", "tokens of floats"],
)
def test_what_does_not_fit_the_graph_is_refused_by_the_name_of_the_input(spec: InputSpec) -> None:
    with pytest.raises(SubmissionError) as caught:
        complete_inputs(model(), [spec])
    assert caught.value.reason == SubmissionReason.INPUT_SEMANTICS_MISMATCH
    assert caught.value.metadata == {"input": spec.name}


def one_input(*sizes: int) -> ir.Model:
    shape = ", ".join(map(str, ("batch", *sizes)))
    text = f"one (float[{shape}] x) => (float[{shape}] out) {{ out = Identity (x) }}"
    return ir.serde.deserialize_model(parse(text))


@pytest.mark.parametrize(
    ("sizes", "channels_last", "other"),
    [((8, 8, 3), False, "NHWC"), ((28, 28, 1), False, "NHWC"), ((3, 8, 8), True, "NCHW")],
)
def test_a_layout_that_takes_a_side_for_the_channels_is_refused_and_the_other_one_advised(
    sizes: tuple[int, ...], channels_last: bool, other: str
) -> None:
    spec = InputSpec("x", (), "", Image(channels_last, 0.0, 1.0))
    with pytest.raises(SubmissionError) as caught:
        complete_inputs(one_input(*sizes), [spec])
    assert caught.value.reason == SubmissionReason.INPUT_SEMANTICS_MISMATCH
    assert other in caught.value.advice
    assert f"{8 if 8 in sizes else 28} channels" in caught.value.message


@pytest.mark.parametrize(
    ("sizes", "channels_last"),
    [((8, 8, 3), True), ((3, 8, 3), False), ((12, 8, 8), False), ((4, 8, 1), False)],
)
def test_a_layout_that_may_be_meant_is_kept(sizes: tuple[int, ...], channels_last: bool) -> None:
    spec = InputSpec("x", (), "", Image(channels_last, 0.0, 1.0))
    (completed,) = complete_inputs(one_input(*sizes), [spec])
    assert completed.shape == sizes


def test_pictures_are_moved_by_an_eighth_of_their_side_and_mirrored_where_that_is_right() -> None:
    assert augmentation_for([picture("x")]) == Augmentation(images=("x",), pad=4)
    mirrored = augmentation_for([picture("x", flip=True), picture("y", flip=True)])
    assert mirrored == Augmentation(images=("x", "y"), flip=True, pad=4)
    assert not augmentation_for([picture("x", flip=True), picture("y")]).flip


def test_pictures_that_cannot_move_together_and_other_inputs_stay_as_they_are() -> None:
    assert augmentation_for([picture("x", 32), picture("y", 16)]) == Augmentation()
    assert augmentation_for([InputSpec("x", (3,), "float32", Tensor())]) == Augmentation()


def test_words_are_replaced_in_text_whatever_else_is_read() -> None:
    tokens = InputSpec("t", (9,), "int64", Text(DIGEST, 50, 1))
    assert augmentation_for([tokens]) == Augmentation(texts=(Words("t", 50, 1),))
    assert augmentation_for([tokens, picture("x")]) == Augmentation(
        images=("x",), pad=4, texts=(Words("t", 50, 1),)
    )


def test_a_vocabulary_with_tokens_that_the_model_has_no_row_for_is_refused() -> None:
    graph = ir.serde.deserialize_model(
        parse("""
        lookup (int64[batch, 4] tokens) => (float[batch, 4, 2] out)
        <float[3, 2] table = {0, 1, 2, 3, 4, 5}> { out = Gather (table, tokens) }
        """)
    )
    (fitting,) = complete_inputs(graph, [InputSpec("tokens", (), "", Text(DIGEST, 3, 0))])
    assert fitting.shape == (4,)
    with pytest.raises(SubmissionError, match=r"text of 4 tokens.*table of 3 rows") as caught:
        complete_inputs(graph, [InputSpec("tokens", (), "", Text(DIGEST, 4, 0))])
    assert caught.value.reason == SubmissionReason.INPUT_SEMANTICS_MISMATCH
