"""Reading, listing, changing and deleting models."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sliceandpack.slicer.v1 import models_pb2 as pb
from sliceandpack.slicer.v1.references_pb2 import Reference

from svckit.errors import Aborted
from tests.helpers.service_errors import facts, refusal_of
from tests.helpers.slicer import SlicerClient
from tests.helpers.submissions import MLP, submission


async def listed(slicer: SlicerClient, **query: Any) -> list[str]:
    """The names on all pages of a list."""
    request = pb.ListModelsRequest(**query)
    names: list[str] = []
    while True:
        page = await slicer.call("ListModels", request)
        names += [model.name for model in page.models]
        if not page.next_page_token:
            return names
        request.page_token = page.next_page_token


@pytest.fixture
async def model(slicer: SlicerClient, request: pytest.FixtureRequest) -> AsyncIterator[pb.Model]:
    """A model that is gone after the test."""
    model = await slicer.submit(submission(MLP))
    yield model
    if model.name in await listed(slicer):
        await slicer.call("DeleteModel", pb.DeleteModelRequest(name=model.name, force=True))


def update(model: pb.Model, *paths: str, etag: str = "") -> pb.UpdateModelRequest:
    request = pb.UpdateModelRequest(model=pb.Model(name=model.name, etag=etag))
    request.model.display_name, request.model.licence = "Renamed", "MIT"
    request.update_mask.paths.extend(paths)
    return request


async def test_a_list_is_filtered_ordered_and_paged(slicer: SlicerClient) -> None:
    made = []
    for name in ("list-b", "list-a", "list-c"):
        sent = submission(MLP, classes=4 if name == "list-c" else 3)
        request = await slicer.request_of(sent, name)
        request.model.licence = "LicenseRef-listed"
        operation = await slicer.call("CreateModel", request)
        made.append((await slicer.operations.result(operation.name, pb.Model)).name)
    only = 'licence = "LicenseRef-listed"'
    assert await listed(slicer, filter=only) == made[::-1]
    assert await listed(slicer, filter=only, order_by="create_time") == made
    assert await listed(slicer, filter=only, order_by="name", page_size=2) == sorted(made)
    assert (
        await listed(slicer, filter=only, order_by="name desc", page_size=1) == sorted(made)[::-1]
    )
    assert await listed(slicer, filter=f'{only} AND label = "blob-3"') == ["models/list-c"]
    assert await listed(slicer, filter=f'{only} AND label = "no such label"') == []
    for query, reason in (
        ({"filter": "size > 5"}, "FILTER_INVALID"),
        ({"order_by": "licence"}, "FILTER_INVALID"),
        ({"page_token": "forged"}, "PAGE_TOKEN_INVALID"),
        ({"page_size": -1}, "FIELD_INVALID"),
    ):
        error = await refusal_of(slicer.call("ListModels", pb.ListModelsRequest(**query)))
        assert facts(error) == ("INVALID_ARGUMENT", reason)


async def test_an_update_changes_what_its_mask_names(slicer: SlicerClient, model: pb.Model) -> None:
    changed = await slicer.call("UpdateModel", update(model, "display_name"))
    assert (changed.display_name, changed.licence) == ("Renamed", "")
    assert changed.etag != model.etag
    assert changed.update_time.ToDatetime() > model.update_time.ToDatetime()
    assert changed.create_time == model.create_time
    assert changed == await slicer.call("GetModel", pb.GetModelRequest(name=model.name))


async def test_an_update_of_what_cannot_be_changed_is_refused(
    slicer: SlicerClient, model: pb.Model
) -> None:
    request = update(model, "labels")
    request.model.labels.extend(["other", "labels", "here"])
    error = await refusal_of(slicer.call("UpdateModel", request))
    assert facts(error) == ("INVALID_ARGUMENT", "FIELD_INVALID")
    assert error.violations[0].field == "update_mask"


async def test_a_stale_etag_changes_and_deletes_nothing(
    slicer: SlicerClient, model: pb.Model
) -> None:
    changed = await slicer.call("UpdateModel", update(model, "licence", etag=model.etag))
    for call in (
        slicer.call("UpdateModel", update(model, "display_name", etag=model.etag)),
        slicer.call("DeleteModel", pb.DeleteModelRequest(name=model.name, etag=model.etag)),
    ):
        assert facts(await refusal_of(call)) == ("ABORTED", "ETAG_MISMATCH")
    assert changed == await slicer.call("GetModel", pb.GetModelRequest(name=model.name))
    await slicer.call("DeleteModel", pb.DeleteModelRequest(name=model.name, etag=changed.etag))


async def test_of_many_updates_with_one_etag_exactly_one_is_made(
    slicer: SlicerClient, model: pb.Model
) -> None:
    requests = [update(model, "display_name", etag=model.etag) for _ in range(8)]
    for place, request in enumerate(requests):
        request.model.display_name = f"writer {place}"
    results = await asyncio.gather(
        *(slicer.call("UpdateModel", request) for request in requests), return_exceptions=True
    )
    assert sum(isinstance(result, Aborted) for result in results) == 7
    (kept,) = [result for result in results if isinstance(result, pb.Model)]
    assert kept == await slicer.call("GetModel", pb.GetModelRequest(name=model.name))


async def test_a_repeated_update_is_made_once(slicer: SlicerClient, model: pb.Model) -> None:
    request = update(model, "display_name")
    request.request_id = f"update-of-{model.name}"
    first = await slicer.call("UpdateModel", request)
    assert first == await slicer.call("UpdateModel", request)
    request.model.display_name = "another body"
    error = await refusal_of(slicer.call("UpdateModel", request))
    assert facts(error) == ("INVALID_ARGUMENT", "REQUEST_ID_REUSED")


async def test_a_model_that_packs_need_is_deleted_only_by_force(
    slicer: SlicerClient, model: pb.Model
) -> None:
    plan = await slicer.plan(model.name)
    (fragment,) = await slicer.slice(plan.name, [model.labels[0]])
    reference = Reference(holder="packs/needy", fragments=[fragment.name])
    reference.expire_time.FromDatetime(datetime.now(UTC) + timedelta(days=1))
    await slicer.call(
        "CreateReference", pb.CreateReferenceRequest(parent=model.name, reference=reference)
    )
    delete = pb.DeleteModelRequest(name=model.name)
    error = await refusal_of(slicer.call("DeleteModel", delete))
    assert facts(error) == ("FAILED_PRECONDITION", "MODEL_IN_USE")
    assert error.metadata["packs"] == "packs/needy"
    delete.force = True
    await slicer.call("DeleteModel", delete)
    for method, request in (
        ("GetModel", pb.GetModelRequest(name=model.name)),
        ("GetPlan", pb.GetPlanRequest(name=plan.name)),
        ("GetFragment", pb.GetFragmentRequest(name=fragment.name)),
        ("ListPlans", pb.ListPlansRequest(parent=model.name)),
        ("ListFragments", pb.ListFragmentsRequest(parent=model.name)),
        ("ListReferences", pb.ListReferencesRequest(parent=model.name)),
        ("DeleteModel", pb.DeleteModelRequest(name=model.name)),
    ):
        error = await refusal_of(slicer.call(method, request))
        assert facts(error) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")
