"""References: who holds fragments, and for how long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from sliceandpack.slicer.v1 import models_pb2 as pb
from sliceandpack.slicer.v1.fragments_pb2 import Fragment
from sliceandpack.slicer.v1.references_pb2 import Reference

from tests.helpers.service_errors import facts, refusal_of
from tests.helpers.slicer import SlicerClient
from tests.helpers.submissions import MLP, submission


@pytest.fixture
async def fragment(slicer: SlicerClient) -> AsyncIterator[Fragment]:
    """A fragment of a model that is gone after the test."""
    model = await slicer.submit(submission(MLP))
    plan = await slicer.plan(model.name)
    (fragment,) = await slicer.slice(plan.name, [model.labels[0]])
    yield fragment
    await slicer.call("DeleteModel", pb.DeleteModelRequest(name=model.name, force=True))


def model_of(fragment: Fragment) -> str:
    return fragment.name.partition("/fragments/")[0]


def ahead(**duration: float) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(datetime.now(UTC) + timedelta(**duration))
    return stamp


def wish(
    fragment: Fragment, expire_time: Timestamp, reference_id: str = "mine"
) -> pb.CreateReferenceRequest:
    reference = Reference(holder="packs/p", fragments=[fragment.name], expire_time=expire_time)
    return pb.CreateReferenceRequest(
        parent=model_of(fragment), reference=reference, reference_id=reference_id
    )


async def test_a_reference_is_taken_read_renewed_and_let_go(
    slicer: SlicerClient, fragment: Fragment
) -> None:
    taken = await slicer.call("CreateReference", wish(fragment, ahead(days=1)))
    assert taken.name == f"{model_of(fragment)}/references/mine"
    assert (taken.holder, list(taken.fragments)) == ("packs/p", [fragment.name])
    assert taken == await slicer.call("GetReference", pb.GetReferenceRequest(name=taken.name))
    renewal = pb.UpdateReferenceRequest(
        reference=Reference(name=taken.name, expire_time=ahead(days=14))
    )
    renewed = await slicer.call("UpdateReference", renewal)
    assert renewed.expire_time == renewal.reference.expire_time
    page = await slicer.call("ListReferences", pb.ListReferencesRequest(parent=model_of(fragment)))
    assert list(page.references) == [renewed]
    await slicer.call("DeleteReference", pb.DeleteReferenceRequest(name=taken.name))
    error = await refusal_of(slicer.call("GetReference", pb.GetReferenceRequest(name=taken.name)))
    assert facts(error) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")
    await slicer.call("DeleteFragment", pb.DeleteFragmentRequest(name=fragment.name))


async def test_a_reference_that_is_only_checked_is_not_taken(
    slicer: SlicerClient, fragment: Fragment
) -> None:
    request = wish(fragment, ahead(days=1))
    request.validate_only = True
    answer = await slicer.call("CreateReference", request)
    request.reference.fragments[0] = f"{model_of(fragment)}/fragments/f-none"
    error = await refusal_of(slicer.call("CreateReference", request))
    page = await slicer.call("ListReferences", pb.ListReferencesRequest(parent=model_of(fragment)))

    assert answer.holder == "packs/p"
    assert facts(error) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")
    assert not page.references


async def test_a_reference_is_renewed_only_as_it_was_read(
    slicer: SlicerClient, fragment: Fragment
) -> None:
    taken = await slicer.call("CreateReference", wish(fragment, ahead(days=1)))
    renewal = pb.UpdateReferenceRequest(
        reference=Reference(name=taken.name, expire_time=ahead(days=2), etag=taken.etag)
    )
    renewed = await slicer.call("UpdateReference", renewal)
    error = await refusal_of(slicer.call("UpdateReference", renewal))

    assert renewed.etag != taken.etag
    assert facts(error) == ("ABORTED", "ETAG_MISMATCH")


async def test_references_are_listed_by_their_holder(
    slicer: SlicerClient, fragment: Fragment
) -> None:
    taken = await slicer.call("CreateReference", wish(fragment, ahead(days=1)))
    found = {}
    for holder in ("packs/p", "packs/q"):
        request = pb.ListReferencesRequest(
            parent=model_of(fragment), filter=f'holder = "{holder}"', order_by="name desc"
        )
        page = await slicer.call("ListReferences", request)
        found[holder] = [reference.name for reference in page.references]

    assert found == {"packs/p": [taken.name], "packs/q": []}


async def test_a_reference_that_has_expired_holds_nothing_and_cannot_be_renewed(
    slicer: SlicerClient, fragment: Fragment
) -> None:
    taken = await slicer.call("CreateReference", wish(fragment, ahead(seconds=1)))
    await asyncio.sleep(1.1)
    renewal = pb.UpdateReferenceRequest(
        reference=Reference(name=taken.name, expire_time=ahead(days=1))
    )
    for method, request in (
        ("UpdateReference", renewal),
        ("GetReference", pb.GetReferenceRequest(name=taken.name)),
        ("DeleteReference", pb.DeleteReferenceRequest(name=taken.name)),
    ):
        error = await refusal_of(slicer.call(method, request))
        assert facts(error) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")
    parent = model_of(fragment)
    page = await slicer.call("ListReferences", pb.ListReferencesRequest(parent=parent))
    assert not page.references
    # Its name is free again.
    await slicer.call("CreateReference", wish(fragment, ahead(seconds=30)))


WRONG_TIMES = {
    "past": Timestamp(seconds=1),
    "too far": ahead(days=31),
    "no date": Timestamp(seconds=10**17),
    "no time": Timestamp(seconds=2_000_000_000, nanos=-5),
}


@pytest.mark.parametrize("expire_time", WRONG_TIMES.values(), ids=WRONG_TIMES.keys())
async def test_a_time_that_is_not_in_the_next_30_days_is_refused(
    slicer: SlicerClient, fragment: Fragment, expire_time: Timestamp
) -> None:
    error = await refusal_of(slicer.call("CreateReference", wish(fragment, expire_time)))
    assert [violation.field for violation in error.violations] == ["reference.expire_time"]


async def test_a_reference_on_what_is_not_there_is_refused(
    slicer: SlicerClient, fragment: Fragment
) -> None:
    gone = wish(fragment, ahead(days=1))
    gone.reference.fragments[0] += "0"
    error = await refusal_of(slicer.call("CreateReference", gone))
    assert facts(error) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")
    foreign = wish(fragment, ahead(days=1))
    foreign.reference.fragments[0] = "models/another/fragments/f"
    error = await refusal_of(slicer.call("CreateReference", foreign))
    assert [violation.field for violation in error.violations] == ["reference.fragments[0]"]


async def test_too_many_fragments_and_an_endless_holder_are_refused(
    slicer: SlicerClient, fragment: Fragment
) -> None:
    request = wish(fragment, ahead(days=1))
    request.reference.fragments.extend([fragment.name] * 1000)
    request.reference.holder = "p" * 257
    error = await refusal_of(slicer.call("CreateReference", request))
    assert {violation.field for violation in error.violations} == {
        "reference.holder",
        "reference.fragments",
    }


async def test_a_name_can_be_taken_once_and_a_replay_gets_the_first_answer(
    slicer: SlicerClient, fragment: Fragment
) -> None:
    request = wish(fragment, ahead(days=1))
    request.request_id = f"reference-on-{fragment.name}"
    first = await slicer.call("CreateReference", request)
    assert first == await slicer.call("CreateReference", request)
    error = await refusal_of(slicer.call("CreateReference", wish(fragment, ahead(days=1))))
    assert facts(error) == ("ALREADY_EXISTS", "RESOURCE_EXISTS")
