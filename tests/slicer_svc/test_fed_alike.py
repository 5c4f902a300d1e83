"""Which inputs are fed alike."""

from __future__ import annotations

from dataclasses import replace

import pytest

from slicer_svc.fed_alike import matched
from svckit.input_spec import Image, InputSpec, Tensor, Text

PICTURE = InputSpec("x", (3, 8, 8), "float32", Image(False, 0.0, 1.0))
WORDS = InputSpec("words", (16,), "int64", Text("sha256:" + "0" * 64, 100, 0))
LENGTH = InputSpec("length", (1,), "int64", Tensor(1, 16))

UNLIKE = {
    "shape": replace(PICTURE, shape=(1, 8, 8)),
    "type": replace(PICTURE, element_type="uint8"),
    "layout": replace(PICTURE, semantics=Image(True, 0.0, 1.0)),
    "range": replace(PICTURE, semantics=Image(False, 0.0, 255.0)),
    "mean": replace(PICTURE, semantics=Image(False, 0.0, 1.0, mean=(0.5, 0.5, 0.5))),
    "meaning": replace(PICTURE, semantics=Tensor(0.0, 1.0)),
}


@pytest.mark.parametrize("other", UNLIKE.values(), ids=UNLIKE.keys())
def test_inputs_that_differ_in_what_a_graph_is_fed_are_not_alike(other: InputSpec) -> None:
    assert matched([PICTURE], [other]) is None


def test_inputs_of_other_names_and_of_mirrored_pictures_are_alike() -> None:
    other = InputSpec("image", (3, 8, 8), "float32", Image(False, 0.0, 1.0, flip_invariant=True))
    assert matched([PICTURE], [other]) == ((PICTURE, other),)


def test_texts_of_another_vocabulary_are_not_alike() -> None:
    other = replace(WORDS, semantics=Text("sha256:" + "1" * 64, 100, 0))
    assert matched([WORDS], [WORDS]) == ((WORDS, WORDS),)
    assert matched([WORDS], [other]) is None


def test_numbers_of_no_declared_range_are_alike_to_nothing() -> None:
    numbers = InputSpec("x", (4,), "float32", Tensor())
    assert matched([numbers], [numbers]) is None


def test_several_inputs_are_paired_by_the_order_of_their_names() -> None:
    others = (replace(WORDS, name="b"), replace(LENGTH, name="a"))
    assert matched([WORDS, LENGTH], others) == ((LENGTH, others[1]), (WORDS, others[0]))
    assert matched([WORDS, LENGTH], [WORDS]) is None
    swapped = (replace(WORDS, name="a"), replace(LENGTH, name="b"))
    assert matched([WORDS, LENGTH], swapped) is None
