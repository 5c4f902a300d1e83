"""Which fragments may be combined, and which outputs they are given."""

from __future__ import annotations

import pytest
from sliceandpack.packer.v1 import packs_pb2 as pb

from packer_svc.origins import Origin, OriginModel
from packer_svc.recipe import combine, ensemble_size, labels_of
from svckit.errors import InvalidArgument
from svckit.input_spec import InputSpec, Tensor
from tests.helpers.packs_client import Fragment, parts

SHARED, OTHER = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
INPUT = InputSpec("x", (4,), "float32", Tensor())


def origin(
    part: pb.PackFragment, *, source_class: int = 0, samples: str = SHARED, parameters: int = 10
) -> Origin:
    """A fragment of one of two classes, called "cat" and "dog"."""
    return Origin(
        fragment=part.fragment,
        label=("cat", "dog")[source_class],
        source_class=source_class,
        graph_digest=f"sha256:{'3' * 64}",
        samples_digest=samples,
        licence="",
        inputs=[INPUT],
        model=OriginModel(part.fragment.partition("/fragments/")[0], 2, 4, parameters, 20),
    )


@pytest.mark.parametrize("labels", [("", ""), ("cat", ""), ("", "tiger"), ("cat", "tiger")])
def test_one_class_of_shared_samples_cannot_be_two_outputs(labels: tuple[str, str]) -> None:
    asked = parts([("models/a/fragments/f", labels[0]), ("models/b/fragments/f", labels[1])])
    with pytest.raises(InvalidArgument) as refused:
        combine(asked, [origin(part) for part in asked])

    assert refused.value.reason_name == "FRAGMENTS_DUPLICATE"
    assert "models/a/fragments/f and models/b/fragments/f" in refused.value.message
    assert "one shared label" in refused.value.advice


def test_models_of_shared_samples_join_as_one_output_and_beside_other_classes() -> None:
    named: list[Fragment] = [("models/a/fragments/f", "cat"), ("models/b/fragments/f", "cat")]
    asked = parts([*named, "models/b/fragments/g"])
    found = combine(asked, [origin(asked[0]), origin(asked[1]), origin(asked[2], source_class=1)])

    assert labels_of(found) == ["cat", "dog"]
    assert [one.output for one in found] == [0, 0, 1]


def test_one_class_of_other_samples_is_another_class() -> None:
    asked = parts(["models/a/fragments/f", ("models/b/fragments/f", "tiger")])
    found = combine(asked, [origin(asked[0]), origin(asked[1], samples=OTHER)])

    assert labels_of(found) == ["cat", "tiger"]


def test_a_model_counts_once_and_another_of_its_name_again() -> None:
    asked = parts([("models/a/fragments/f", "cat"), ("models/a/fragments/g", "dog")])

    def size(parameters: int) -> int:
        second = origin(asked[1], source_class=1, parameters=parameters)
        return ensemble_size(combine(asked, [origin(asked[0]), second]))["parameters"]

    assert size(10) == 10 + (4 + 2 + 1) * 2
    assert size(11) == 10 + 11 + (2 * (4 + 2) + 1) * 2
