"""The rules of requests: required fields, names, etags, update masks."""

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from sliceandpack.error.v1 import error_reason_pb2 as pb
from sliceandpack.packer.v1 import deployments_pb2, packs_pb2
from sliceandpack.slicer.v1 import fragments_pb2, input_spec_pb2, models_pb2

from svckit.errors import Aborted, InvalidArgument
from svckit.etags import check_etag, etag_of
from svckit.masks import masked_fields
from svckit.names import ResourcePattern, id_violations, listed, new_id
from svckit.required import missing_fields

Model = models_pb2.Model
FRAGMENT = ResourcePattern.of(fragments_pb2.Fragment)


def missing(message: object) -> list[str]:
    return [violation.field for violation in missing_fields(message)]  # type: ignore[arg-type]


def test_every_missing_field_is_named_at_once_in_nested_messages_too() -> None:
    request = models_pb2.CreateModelRequest(
        model=Model(
            labels=["cat"],
            inputs=[
                input_spec_pb2.InputSpec(name="image", image=input_spec_pb2.ImageSemantics()),
                input_spec_pb2.InputSpec(),
            ],
        )
    )
    assert missing(request) == [
        "model.graph",
        "model.samples",
        "model.inputs[0].image.value_range",
        "model.inputs[1].name",
    ]
    assert missing(models_pb2.CreateModelRequest()) == ["model"]


def test_what_only_the_service_writes_is_not_asked_of_the_client() -> None:
    request = packs_pb2.CreatePackRequest(
        pack=packs_pb2.Pack(
            fragments=[packs_pb2.PackFragment(fragment="models/m/fragments/f")],
            inputs=[input_spec_pb2.InputSpec()],
        )
    )
    assert missing(request) == []


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        ([], []),
        (["display_name"], []),
        (["pack"], ["deployment.pack"]),
        (["*"], ["deployment.pack"]),
    ],
)
def test_a_partial_update_needs_only_what_its_mask_names(
    paths: list[str], expected: list[str]
) -> None:
    request = deployments_pb2.UpdateDeploymentRequest(
        deployment=deployments_pb2.Deployment(name="deployments/d"),
        update_mask=FieldMask(paths=paths),
    )
    assert missing(request) == expected


def test_an_update_without_its_resource_is_refused() -> None:
    request = deployments_pb2.UpdateDeploymentRequest(update_mask=FieldMask(paths=["pack"]))
    assert missing(request) == ["deployment"]


def test_a_name_is_taken_apart_and_put_together_by_the_contracts_pattern() -> None:
    assert FRAGMENT.parse("models/cats/fragments/0-ab.c") == ("cats", "0-ab.c")
    assert FRAGMENT.format("cats", "0-ab.c") == "models/cats/fragments/0-ab.c"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "models/cats",
        "models/cats/fragments/",
        "models//fragments/f",
        "models/cats/fragments/f/x",
        "models/../fragments/f",
        "models/cats/fragments/f\n",
        "models/-/fragments/f",
        "packs/cats/fragments/f",
    ],
)
def test_what_is_no_name_is_refused_by_field(name: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        FRAGMENT.parse(name, "parent")
    assert caught.value.reason == pb.ERROR_REASON_FIELD_INVALID
    assert caught.value.metadata == {"field": "parent"}
    assert "models/{model}/fragments/{fragment}" in caught.value.advice


def test_a_dash_stands_for_all_where_a_list_allows_it() -> None:
    pattern = ResourcePattern.of(Model)
    assert pattern.parse("models/-", wildcards=True) == ("-",)
    assert pattern.parse("models/cats", wildcards=True) == ("cats",)


@pytest.mark.parametrize("chosen", ["a", "cats-2", "a" * 63])
def test_an_id_of_small_letters_digits_and_dashes_is_taken(chosen: str) -> None:
    assert id_violations(chosen, "model_id") == ()


@pytest.mark.parametrize("chosen", ["", "A", "2cats", "cats-", "a" * 64, "a/b", "ä", "a\n"])
def test_another_id_is_a_violation_of_its_field(chosen: str) -> None:
    (violation,) = id_violations(chosen, "model_id")
    assert violation.field == "model_id"


def test_ids_that_the_service_makes_are_valid_and_differ() -> None:
    made = {new_id("model") for _ in range(100)}
    assert len(made) == 100
    assert not any(id_violations(one, "model_id") for one in made)


def test_a_stale_etag_is_aborted_and_an_absent_one_is_not_checked() -> None:
    first, second = etag_of("models/m", 1), etag_of("models/m", 2)
    assert len({first, second, etag_of("models/n", 1)}) == 3
    check_etag("", second, "models/m")
    check_etag(second, second, "models/m")
    with pytest.raises(Aborted) as caught:
        check_etag(first, second, "models/m")
    assert caught.value.reason == pb.ERROR_REASON_ETAG_MISMATCH
    assert caught.value.metadata == {"resource": "models/m"}


CHANGEABLE = ("display_name", "licence")


@pytest.mark.parametrize(
    ("paths", "fields"),
    [
        ([], ("display_name",)),
        (["display_name"], ("display_name",)),
        (["licence", "licence"], ("licence",)),
        (["*"], ("display_name", "licence")),
    ],
)
def test_an_update_changes_what_its_mask_names_and_nothing_else(
    paths: list[str], fields: tuple[str, ...]
) -> None:
    update = Model(name="models/m", display_name="Dogs", labels=["dog"])
    assert masked_fields(update, FieldMask(paths=paths), CHANGEABLE) == fields


def test_a_mask_that_names_what_cannot_change_is_refused_path_by_path() -> None:
    with pytest.raises(InvalidArgument) as caught:
        masked_fields(Model(), FieldMask(paths=["labels", "x", "licence"]), CHANGEABLE)
    assert caught.value.reason == pb.ERROR_REASON_FIELD_INVALID
    assert len(caught.value.violations) == 2
    assert "display_name, licence" in caught.value.advice


def test_a_message_lists_ten_names_and_counts_the_others() -> None:
    names = [f"packs/p{place}" for place in range(12)]
    assert listed(names[:2]) == "packs/p0, packs/p1"
    assert listed(names[:10]).endswith(", packs/p9")
    assert listed(names).endswith(", packs/p9 and 2 more")
