"""Fronts: what plans of several sizes would come to."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sliceandpack.operation.v1.operation_events_pb2 import OperationEvent
from sliceandpack.slicer.v1 import models_pb2 as pb
from sliceandpack.slicer.v1.plans_pb2 import Recipe

from tests.helpers.service_errors import facts, refusal_of
from tests.helpers.slicer import SlicerClient
from tests.helpers.submissions import CNN, submission


@pytest.fixture
async def model(slicer: SlicerClient) -> AsyncIterator[pb.Model]:
    """A model that is gone after the tests."""
    model = await slicer.submit(submission(CNN))
    yield model
    await slicer.call("DeleteModel", pb.DeleteModelRequest(name=model.name))


async def front(
    slicer: SlicerClient, request: pb.PredictFrontRequest, events: list[OperationEvent]
) -> pb.PredictFrontResponse:
    operation = await slicer.call("PredictFront", request)
    return await slicer.operations.result(operation.name, pb.PredictFrontResponse, events.append)


async def test_a_front_says_what_plans_then_say(slicer: SlicerClient, model: pb.Model) -> None:
    recipe = Recipe(budget_macs=1.0)
    request = pb.PredictFrontRequest(name=model.name, recipe=recipe, sizes=[0.6, 0.3])
    first: list[OperationEvent] = []
    found = await front(slicer, request, first)
    assert {"measure", "curves"} & {event.progress.phase for event in first}
    assert [point.size for point in found.points][1:] == [0.3, 0.6]
    for point in found.points:
        events: list[OperationEvent] = []
        plan = await slicer.plan(model.name, Recipe(budget_macs=point.size), events.append)
        assert not {event.progress.phase for event in events} - {""}
        assert (plan.parameters_after, plan.macs_after) == (point.parameters, point.macs)
        assert plan.predicted_error == pytest.approx(point.predicted_error)
    again: list[OperationEvent] = []
    assert await front(slicer, request, again) == found
    assert not {event.progress.phase for event in again} - {""}


async def test_a_front_keeps_no_plan(slicer: SlicerClient) -> None:
    model = await slicer.submit(submission(CNN))
    request = pb.PredictFrontRequest(name=model.name, recipe=Recipe(budget_parameters=0.5))
    found = await front(slicer, request, [])
    assert [point.size for point in found.points][1:] == [0.5]
    listed = await slicer.call("ListPlans", pb.ListPlansRequest(parent=model.name))
    assert not listed.plans
    await slicer.call("DeleteModel", pb.DeleteModelRequest(name=model.name))


async def test_a_front_tells_times_where_time_is_bought(
    slicer: SlicerClient, model: pb.Model
) -> None:
    recipe = Recipe(budget_latency=1.0)
    request = pb.PredictFrontRequest(name=model.name, recipe=recipe)
    found = await front(slicer, request, [])
    assert all(point.latency_ms > 0 for point in found.points)


async def test_every_broken_rule_of_a_front_is_told(slicer: SlicerClient, model: pb.Model) -> None:
    request = pb.PredictFrontRequest(
        name=model.name, recipe=Recipe(budget_macs=0.5, views=65), sizes=[0.5, 0.0, 1.5]
    )
    error = await refusal_of(slicer.call("PredictFront", request))
    assert facts(error) == ("INVALID_ARGUMENT", "FIELD_INVALID")
    assert [one.field for one in error.violations] == ["recipe.views", "sizes[1]", "sizes[2]"]


@pytest.mark.parametrize("recipe", [Recipe(views=2), Recipe(beta=0.5)])
async def test_a_front_wants_a_budget(
    slicer: SlicerClient, model: pb.Model, recipe: Recipe
) -> None:
    request = pb.PredictFrontRequest(name=model.name, recipe=recipe)
    error = await refusal_of(slicer.call("PredictFront", request))
    assert [one.field for one in error.violations] == ["recipe.size"]


async def test_a_front_of_too_many_sizes_is_refused(slicer: SlicerClient, model: pb.Model) -> None:
    recipe = Recipe(budget_macs=0.5)
    request = pb.PredictFrontRequest(name=model.name, recipe=recipe, sizes=[0.5] * 257)
    error = await refusal_of(slicer.call("PredictFront", request))
    assert [one.field for one in error.violations] == ["sizes"]


async def test_a_front_of_no_model_is_refused(slicer: SlicerClient) -> None:
    request = pb.PredictFrontRequest(name="models/none", recipe=Recipe(budget_macs=0.5))
    error = await refusal_of(slicer.call("PredictFront", request))
    assert facts(error) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")
