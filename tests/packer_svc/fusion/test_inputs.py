"""Which inputs fragments can share, and what those of their pack are."""

from __future__ import annotations

from dataclasses import replace

import pytest

from packer_svc.fusion.errors import FusionError, FusionReason
from packer_svc.fusion.inputs import FragmentInputs, shared_inputs
from svckit.input_spec import Image, InputSpec, Tensor, Text

PICTURE = InputSpec("x", (3, 8, 8), "float32", Image(False, 0.0, 1.0, (0.5,), (0.2,)))
WORDS = Text(f"sha256:{'1' * 64}", 100, 0)
TEXT = InputSpec("ids", (12,), "int64", WORDS)
NUMBERS = InputSpec("row", (4,), "float32", Tensor(0.0, 1.0))


def fragments(*inputs: InputSpec | tuple[InputSpec, ...]) -> list[FragmentInputs]:
    """A fragment each of the inputs given."""
    return [
        FragmentInputs(f"models/m{i}/fragments/0", one if isinstance(one, tuple) else (one,))
        for i, one in enumerate(inputs)
    ]


def test_the_largest_picture_is_the_packs() -> None:
    large = InputSpec("image", (16, 16, 3), "uint8", Image(True, 0.0, 255.0))
    assert shared_inputs(fragments(PICTURE, large, replace(PICTURE, name="y"))) == (large,)


def test_of_equals_the_first_is_the_packs() -> None:
    other = InputSpec("image", (8, 8, 3), "uint8", Image(True, 0.0, 255.0))
    assert shared_inputs(fragments(PICTURE, other)) == (PICTURE,)
    assert shared_inputs(fragments(other, PICTURE)) == (other,)


def test_the_longest_text_is_the_packs() -> None:
    longer = replace(TEXT, name="tokens", shape=(20,), element_type="int32")
    assert shared_inputs(fragments(TEXT, longer)) == (longer,)


def test_several_inputs_go_by_their_names_in_any_order() -> None:
    larger = replace(PICTURE, shape=(3, 16, 16))
    found = shared_inputs(fragments((PICTURE, TEXT), (TEXT, larger)))
    assert found == (larger, TEXT)


def test_pictures_in_eight_bits_keep_their_size_and_layout() -> None:
    (found,) = shared_inputs(fragments(PICTURE), eight_bits=True)
    assert (found.name, found.shape, found.element_type) == ("x", (3, 8, 8), "uint8")
    assert found.semantics == Image(False, 0.0, 255.0)
    assert shared_inputs(fragments((PICTURE, TEXT)), eight_bits=True)[1] == TEXT


def test_eight_bits_of_no_picture_are_refused() -> None:
    with pytest.raises(FusionError) as refused:
        shared_inputs(fragments(NUMBERS), eight_bits=True)
    assert refused.value.reason is FusionReason.FIELD_INVALID


@pytest.mark.parametrize(
    ("first", "second", "fact"),
    [
        (PICTURE, NUMBERS, "kind"),
        (PICTURE, replace(PICTURE, shape=(1, 8, 8)), "channels"),
        (PICTURE, replace(PICTURE, shape=(3, 8, 16)), "proportions"),
        (TEXT, replace(TEXT, semantics=replace(WORDS, vocabulary_digest="")), "vocabulary_digest"),
        (TEXT, replace(TEXT, semantics=replace(WORDS, vocabulary_size=99)), "vocabulary_size"),
        (TEXT, replace(TEXT, semantics=replace(WORDS, padding_id=1)), "padding_id"),
        (TEXT, replace(TEXT, shape=(3, 4)), "shape"),
        (NUMBERS, replace(NUMBERS, shape=(5,)), "shape"),
        (NUMBERS, replace(NUMBERS, element_type="int32"), "element_type"),
        (NUMBERS, replace(NUMBERS, semantics=Tensor(0.0, 2.0)), "maximum"),
        (NUMBERS, replace(NUMBERS, semantics=Tensor()), "minimum"),
    ],
)
def test_a_disagreement_names_both_fragments_and_the_fact(
    first: InputSpec, second: InputSpec, fact: str
) -> None:
    with pytest.raises(FusionError) as refused:
        shared_inputs(fragments(first, first, second))
    assert refused.value.reason is FusionReason.FRAGMENTS_INCOMPATIBLE
    assert refused.value.metadata == {
        "first": "models/m0/fragments/0",
        "second": "models/m2/fragments/0",
        "field": fact,
        "input": first.name,
    }


def test_inputs_of_other_number_or_of_several_other_names_are_refused() -> None:
    for other in ((PICTURE, TEXT, NUMBERS), (PICTURE, replace(TEXT, name="words"))):
        with pytest.raises(FusionError) as refused:
            shared_inputs(fragments((PICTURE, TEXT), other))
        assert refused.value.reason is FusionReason.FRAGMENTS_INCOMPATIBLE
        assert refused.value.metadata["field"] == "name"


def test_no_fragment_at_all_is_refused() -> None:
    with pytest.raises(FusionError) as refused:
        shared_inputs([])
    assert refused.value.reason is FusionReason.FRAGMENTS_DUPLICATE
