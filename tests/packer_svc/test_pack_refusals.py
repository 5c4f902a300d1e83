"""Packs that are not made: each refusal is typed, and keeps nothing."""

from __future__ import annotations

import grpc
import pytest
from sliceandpack.packer.v1 import packs_pb2 as pb

from tests.helpers.errors import error_info_of, reason_of
from tests.helpers.operations_client import OperationFailedError
from tests.helpers.packs_client import Fragment, PacksClient, parts, slow_head
from tests.helpers.stocked_slicer import StockedSlicer


async def refusal(
    packs: PacksClient, pack_id: str, fragments: list[Fragment], **more: object
) -> str:
    """The reason for which a request is not taken."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await packs.begin(pack_id, fragments, **more)  # type: ignore[arg-type]
    return reason_of(refused.value)


async def failure(
    packs: PacksClient, pack_id: str, fragments: list[Fragment]
) -> OperationFailedError:
    """What an operation that was taken fails with, having kept nothing."""
    with pytest.raises(OperationFailedError) as failed:
        await packs.create(pack_id, fragments)
    assert f"packs/{pack_id}" not in await packs.names()
    return failed.value


async def test_a_pack_of_nothing_or_of_one_class_is_refused(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    zero, one = slicer.named("low/zero", "low/one")
    assert await refusal(packs, "none", []) == "FIELD_REQUIRED"
    assert await refusal(packs, "single", [zero]) == "FIELD_INVALID"
    error = await failure(packs, "joined", [(zero, "digit"), (one, "digit")])
    assert (error.code, error.reason) == ("INVALID_ARGUMENT", "FIELD_INVALID")


async def test_a_fragment_named_twice_is_refused(packs: PacksClient, slicer: StockedSlicer) -> None:
    zero, one = slicer.named("low/zero", "low/one")
    assert await refusal(packs, "twice", [zero, one, zero]) == "FRAGMENTS_DUPLICATE"


@pytest.mark.parametrize("given", ["neither", "first", "second"])
async def test_equal_labels_are_refused_unless_both_are_given(
    packs: PacksClient, slicer: StockedSlicer, given: str
) -> None:
    low, mixed = slicer.named("low/two", "mixed/two")
    fragments: list[Fragment] = [
        (low, "two") if given == "first" else low,
        (mixed, "two") if given == "second" else mixed,
    ]
    error = await failure(packs, f"equal-{given}", fragments)
    assert error.reason == "FRAGMENTS_DUPLICATE"
    assert error.metadata["label"] == "two"
    assert low in error.message
    assert mixed in error.message


async def test_a_fragment_that_the_slicer_does_not_have_is_named(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    missing = "models/low/fragments/f-0000"
    error = await failure(packs, "missing", [*slicer.named("low/zero"), missing])
    assert (error.code, error.reason) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")
    assert error.metadata["resource"] == missing


async def test_fragments_whose_inputs_mean_other_things_are_refused(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    zero, four = slicer.named("low/zero", "plain/four")
    error = await failure(packs, "mismatch", [zero, four])
    assert (error.code, error.reason) == ("INVALID_ARGUMENT", "FRAGMENTS_INCOMPATIBLE")
    assert (error.metadata["first"], error.metadata["second"]) == (zero, four)
    assert (error.metadata["input"], error.metadata["field"]) == ("image", "kind")


async def test_a_form_of_pictures_is_refused_where_there_are_none(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    request = pb.CreatePackRequest(pack_id="bytes-of-numbers")
    request.pack.fragments.extend(parts(slicer.named("plain/four", "plain/five")))
    request.pack.options.picture_form = pb.PICTURE_FORM_UINT8
    with pytest.raises(OperationFailedError) as failed:
        await packs.result(await packs.stub.CreatePack(request))
    assert (failed.value.code, failed.value.reason) == ("INVALID_ARGUMENT", "FIELD_INVALID")
    assert failed.value.metadata["field"] == "pack.options.picture_form"


async def test_all_broken_rules_are_told_at_once(packs: PacksClient) -> None:
    head = pb.HeadSpec(encoder_width=-1, delta=float("nan"), steps=-1, seed=-1)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await packs.begin("Bad!", ["models/low/fragments/f", ("nonsense", "a\nb")], head)
    told = str(refused.value.details())
    for field in (
        "pack_id",
        "pack.fragments[1].fragment",
        "pack.fragments[1].label",
        "pack.head.encoder_width",
        "pack.head.delta",
        "pack.head.steps",
        "pack.head.seed",
    ):
        assert field in told


async def test_a_malformed_name_is_told_before_the_number_of_fragments(packs: PacksClient) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await packs.begin("few", ["low/zero low/one"])
    told = str(refused.value.details())
    assert told.startswith("pack.fragments[0].fragment: 'low/zero low/one' is no models/")
    assert "pack.fragments: at least 2" in told
    assert error_info_of(refused.value).metadata["field"] == "pack.fragments[0].fragment"


async def test_a_name_that_is_taken_is_refused(packs: PacksClient, slicer: StockedSlicer) -> None:
    names = slicer.named("low/zero", "low/one")
    await packs.create("taken", names)
    assert await refusal(packs, "taken", [*names]) == "RESOURCE_EXISTS"


async def test_of_two_packs_of_one_name_at_once_one_is_made(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    names = slicer.named("low/zero", "low/one")
    operations = [await packs.begin("contested", names) for _ in range(2)]
    ended = [await packs.ended(operation) for operation in operations]

    assert sorted(one.HasField("error") for one in ended) == [False, True]
    made = await packs.get("contested")
    held = await slicer.holders("low")
    assert [one.fragment for one in made.fragments] == names
    assert "packs/contested" in held.values()


async def test_validate_only_keeps_nothing(packs: PacksClient, slicer: StockedSlicer) -> None:
    names = slicer.named("low/zero", "low/one")
    answer = await packs.begin("tried", names, validate_only=True)
    assert (answer.done, answer.name) == (True, "")
    assert (
        await refusal(packs, "tried", [names[0]] * 2, validate_only=True) == "FRAGMENTS_DUPLICATE"
    )
    assert "packs/tried" not in await packs.names()


async def test_a_request_sent_again_makes_one_pack(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    names = slicer.named("low/zero", "low/one")
    first = await packs.begin("replayed", names, request_id="pack-1")
    made = await packs.result(first)
    again = await packs.begin("replayed", names, request_id="pack-1")

    assert (again.name, again.done) == (first.name, True)
    assert await packs.result(again) == made
    reversed_names: list[Fragment] = [*reversed(names)]
    assert await refusal(packs, "replayed", reversed_names, request_id="pack-1") == (
        "REQUEST_ID_REUSED"
    )


async def test_a_deletion_wants_the_current_etag_and_can_be_sent_again(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    made = await packs.create("deleted", slicer.named("low/zero", "low/one"))
    with pytest.raises(grpc.aio.AioRpcError) as stale:
        await packs.delete("deleted", etag="stale")
    for _ in range(2):
        await packs.delete("deleted", etag=made.etag, request_id="delete-1")
    with pytest.raises(grpc.aio.AioRpcError) as gone:
        await packs.delete("deleted")

    assert reason_of(stale.value) == "ETAG_MISMATCH"
    assert error_info_of(gone.value).metadata["resource"] == "packs/deleted"


async def test_a_cancelled_pack_is_not_kept(packs: PacksClient, slicer: StockedSlicer) -> None:
    started = await packs.begin("cancelled", slicer.named("low/zero", "low/one"), slow_head())
    await packs.until_phase(started, "head")
    await packs.cancel(started)
    with pytest.raises(OperationFailedError) as failed:
        await packs.result(started)

    assert (failed.value.code, failed.value.reason) == ("CANCELLED", "CANCELLED")
    assert "packs/cancelled" not in await packs.names()
