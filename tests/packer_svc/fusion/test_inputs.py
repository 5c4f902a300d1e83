import pytest

from packer_svc.fusion.errors import FusionError, FusionReason
from packer_svc.fusion.inputs import FragmentInputs, check_inputs

IMAGE: dict[str, object] = {
    "shape": [3, 8, 8],
    "element_type": "float32",
    "kind": "image",
    "layout": "NCHW",
    "value_range": [0.0, 1.0],
    "mean": [0.5],
}


def _fragments(*facts: dict[str, dict[str, object]]) -> list[FragmentInputs]:
    return [FragmentInputs(f"models/m{i}/fragments/0", inputs) for i, inputs in enumerate(facts)]


@pytest.mark.parametrize(
    ("fact", "value"),
    [
        ("shape", [3, 9, 9]),
        ("element_type", "uint8"),
        ("kind", "tensor"),
        ("layout", "NHWC"),
        ("value_range", [0.0, 255.0]),
        ("mean", [0.0]),
        ("standard_deviation", [2.0]),
    ],
)
def test_a_disagreement_names_both_fragments_and_the_fact(fact: str, value: object) -> None:
    with pytest.raises(FusionError) as caught:
        check_inputs(_fragments({"x": IMAGE}, {"x": IMAGE}, {"x": IMAGE | {fact: value}}))
    assert caught.value.reason is FusionReason.FRAGMENTS_INCOMPATIBLE
    assert caught.value.metadata == {
        "first": "models/m0/fragments/0",
        "second": "models/m2/fragments/0",
        "field": fact,
        "input": "x",
    }


def test_inputs_of_other_names_or_number_are_refused() -> None:
    for other in ({"y": IMAGE}, {"x": IMAGE, "y": IMAGE}):
        with pytest.raises(FusionError) as caught:
            check_inputs(_fragments({"x": IMAGE}, other))
        assert caught.value.reason is FusionReason.FRAGMENTS_INCOMPATIBLE
        assert caught.value.metadata["field"] == "name"


def test_what_only_guides_augmentation_may_differ() -> None:
    check_inputs(_fragments({"x": IMAGE | {"flip_invariant": True}}, {"x": IMAGE}))


def test_no_fragment_at_all_is_refused() -> None:
    with pytest.raises(FusionError) as caught:
        check_inputs([])
    assert caught.value.reason is FusionReason.FRAGMENTS_DUPLICATE
