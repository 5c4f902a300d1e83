"""Plans: what they say, what they cost, and what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from sliceandpack.operation.v1.operation_events_pb2 import OperationEvent
from sliceandpack.slicer.v1 import models_pb2 as pb
from sliceandpack.slicer.v1 import plans_pb2
from sliceandpack.slicer.v1.plans_pb2 import Plan, Recipe

from tests.helpers.service_errors import facts, refusal_of
from tests.helpers.slicer import SlicerClient
from tests.helpers.submissions import CNN, submission


@pytest.fixture
async def model(slicer: SlicerClient) -> AsyncIterator[pb.Model]:
    """A model that is gone after the test."""
    model = await slicer.submit(submission(CNN))
    yield model
    await slicer.call("DeleteModel", pb.DeleteModelRequest(name=model.name))


async def test_a_plan_tells_what_each_group_keeps_and_costs(
    slicer: SlicerClient, model: pb.Model
) -> None:
    plan = await slicer.plan(model.name, Recipe(beta=0.5, seed=2**62))
    assert plan.name.startswith(f"{model.name}/plans/")
    assert [(group.unit_count, group.kept_count) for group in plan.groups] == [
        (8, 4),
        (16, 8),
        (16, 8),
    ]
    assert plan.recipe.method == plans_pb2.METHOD_CLOSED_FORM
    assert (plan.recipe.beta, plan.recipe.steps, plan.recipe.views) == (0.5, 20, 8)
    assert plan.parameters_before == model.parameters
    assert plan.macs_before == model.macs
    assert 0.2 < plan.parameters_after / plan.parameters_before < 0.3
    assert plan.bytes_after == 4 * plan.parameters_after
    assert plan.document.size_bytes > 0
    assert plan == await slicer.call("GetPlan", pb.GetPlanRequest(name=plan.name))


async def test_plans_are_listed_by_their_method(slicer: SlicerClient, model: pb.Model) -> None:
    made = {
        method: await slicer.plan(
            model.name, Recipe(beta=0.5, method=plans_pb2.Method.Value(f"METHOD_{method}"))
        )
        for method in ("RATE", "CLOSED_FORM")
    }
    for method, plan in made.items():
        request = pb.ListPlansRequest(
            parent=model.name, filter=f"method = {method}", order_by="create_time"
        )
        page = await slicer.call("ListPlans", request)
        assert [found.name for found in page.plans] == [plan.name]


def phases(events: list[OperationEvent]) -> set[str]:
    return {event.progress.phase for event in events} - {""}


async def test_a_second_plan_measures_nothing(slicer: SlicerClient, model: pb.Model) -> None:
    first: list[OperationEvent] = []
    await slicer.plan(model.name, Recipe(beta=0.5), first.append)
    assert phases(first) & {"measure", "curves"}
    second: list[OperationEvent] = []
    plan = await slicer.plan(model.name, Recipe(budget_parameters=0.4), second.append)
    assert not phases(second)
    assert 0.3 < plan.parameters_after / plan.parameters_before <= 0.4


async def test_a_plan_within_a_budget_of_macs_keeps_to_it(
    slicer: SlicerClient, model: pb.Model
) -> None:
    plan = await slicer.plan(model.name, Recipe(budget_macs=0.5, views=1))
    assert 0.4 < plan.macs_after / plan.macs_before <= 0.5


async def test_plans_within_budgets_of_bytes_and_of_time_keep_to_them(
    slicer: SlicerClient, model: pb.Model
) -> None:
    small = await slicer.plan(model.name, Recipe(budget_bytes=0.5, views=1))
    assert 0.3 < small.bytes_after / small.bytes_before <= 0.5
    assert not small.HasField("latency")
    events: list[OperationEvent] = []
    # So small a model takes no less time with fewer units.
    fast = await slicer.plan(model.name, Recipe(budget_latency=1.0, views=1), events.append)
    assert phases(events) == {"latency"}
    assert fast.latency.machine
    assert 0 < fast.latency.after_ms <= fast.latency.before_ms
    again: list[OperationEvent] = []
    wanted = Recipe(budget_latency_ms=fast.latency.before_ms, views=1)
    same = await slicer.plan(model.name, wanted, again.append)
    assert not phases(again)
    assert same.groups == fast.groups
    assert same.latency == fast.latency
    told = await slicer.plan(model.name, Recipe(beta=0.5, predict_latency=True, views=1))
    assert 0 < told.latency.after_ms <= told.latency.before_ms == fast.latency.before_ms
    error = await refusal_of(slicer.plan(model.name, Recipe(budget_latency_ms=1e-6, views=1)))
    assert facts(error) == ("INVALID_ARGUMENT", "BUDGET_UNREACHABLE")


async def test_a_budget_is_spent_in_the_blocks_asked_for(
    slicer: SlicerClient, model: pb.Model
) -> None:
    plan = await slicer.plan(model.name, Recipe(budget_macs=0.6, block=4, views=1))
    assert {group.grain for group in plan.groups} == {4}
    assert all(group.kept_count % 4 == 0 for group in plan.groups)
    assert any(group.kept_count < group.unit_count for group in plan.groups)


async def test_of_two_plans_at_once_only_one_measures(
    slicer: SlicerClient, model: pb.Model
) -> None:
    events: tuple[list[OperationEvent], list[OperationEvent]] = ([], [])
    await asyncio.gather(
        *(
            slicer.plan(model.name, Recipe(beta=beta, seed=77), seen.append)
            for beta, seen in zip((0.4, 0.6), events, strict=True)
        )
    )
    assert sorted(bool(phases(seen)) for seen in events) == [False, True]


async def test_plans_are_listed_and_deleted_while_their_fragments_stay(
    slicer: SlicerClient, model: pb.Model
) -> None:
    plans = [await slicer.plan(model.name, Recipe(beta=beta, views=1)) for beta in (0.5, 0.6, 0.7)]
    (fragment,) = await slicer.slice(plans[0].name, [model.labels[0]])
    request = pb.ListPlansRequest(parent=model.name, page_size=2)
    page = await slicer.call("ListPlans", request)
    assert list(page.plans) == plans[:0:-1]
    request.page_token = page.next_page_token
    assert list((await slicer.call("ListPlans", request)).plans) == plans[:1]
    await slicer.call("DeletePlan", pb.DeletePlanRequest(name=plans[0].name))
    error = await refusal_of(slicer.call("GetPlan", pb.GetPlanRequest(name=plans[0].name)))
    assert facts(error) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")
    kept = await slicer.call("GetFragment", pb.GetFragmentRequest(name=fragment.name))
    assert kept.plan == plans[0].name


WRONG = {
    "beta of nothing": (Recipe(beta=0.0), "plan.recipe.beta"),
    "beta above 1": (Recipe(beta=1.5), "plan.recipe.beta"),
    "beta that is no number": (Recipe(beta=float("nan")), "plan.recipe.beta"),
    "budget below 0": (Recipe(budget_macs=-1.0), "plan.recipe.budget_macs"),
    "threshold with a budget": (
        Recipe(method=plans_pb2.METHOD_THRESHOLD, budget_macs=0.5),
        "plan.recipe.budget_macs",
    ),
    "bytes above 1": (Recipe(budget_bytes=1.5), "plan.recipe.budget_bytes"),
    "time of nothing": (Recipe(budget_latency_ms=0.0), "plan.recipe.budget_latency_ms"),
    "no block": (Recipe(budget_macs=0.5, block=0), "plan.recipe.block"),
    "blocks of nothing": (Recipe(block=16), "plan.recipe.block"),
    "blocks of a share of units": (Recipe(beta=0.5, block=16), "plan.recipe.block"),
    "unknown criterion": (Recipe.FromString(b"\x58\x63"), "plan.recipe.criterion"),
    "unknown method": (Recipe.FromString(b"\x08\x63"), "plan.recipe.method"),
    "too many steps": (Recipe(steps=10_001), "plan.recipe.steps"),
    "no views": (Recipe(views=0), "plan.recipe.views"),
    "negative seed": (Recipe(seed=-1), "plan.recipe.seed"),
}


@pytest.mark.parametrize(("recipe", "field"), WRONG.values(), ids=WRONG.keys())
async def test_a_recipe_that_breaks_a_rule_is_refused_by_its_field(
    slicer: SlicerClient, recipe: Recipe, field: str
) -> None:
    request = pb.CreatePlanRequest(parent="models/any", plan=Plan(recipe=recipe))
    error = await refusal_of(slicer.call("CreatePlan", request))
    assert facts(error) == ("INVALID_ARGUMENT", "FIELD_INVALID")
    assert [violation.field for violation in error.violations] == [field]


async def test_a_budget_that_no_plan_keeps_to_is_told_with_what_can_be_reached(
    slicer: SlicerClient, model: pb.Model
) -> None:
    error = await refusal_of(slicer.plan(model.name, Recipe(budget_parameters=1e-6, views=1)))
    assert facts(error) == ("INVALID_ARGUMENT", "BUDGET_UNREACHABLE")
    page = await slicer.call("ListPlans", pb.ListPlansRequest(parent=model.name))
    assert not page.plans


async def test_a_plan_that_is_only_validated_is_not_made(
    slicer: SlicerClient, model: pb.Model
) -> None:
    request = pb.CreatePlanRequest(
        parent=model.name, plan=Plan(recipe=Recipe(beta=0.5)), validate_only=True
    )
    operation = await slicer.call("CreatePlan", request)
    assert operation.done
    assert operation.name == ""
    request.parent = "models/no-such-model"
    error = await refusal_of(slicer.call("CreatePlan", request))
    assert facts(error) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")
