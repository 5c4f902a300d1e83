"""A model that is deleted while work on it runs: the work ends and leaves nothing behind."""

from __future__ import annotations

from google.longrunning import operations_pb2
from google.protobuf.message import Message
from sliceandpack.slicer.v1 import models_pb2 as pb
from sliceandpack.slicer.v1 import plans_pb2

from tests.helpers.processes import ServiceProcess
from tests.helpers.service_errors import facts, refusal_of
from tests.helpers.slicer import SLOW, SlicerClient, scratch_of, until
from tests.helpers.submissions import CNN, MLP, submission


async def under_way(slicer: SlicerClient, operation: operations_pb2.Operation) -> None:
    """Waits until a worker reports from the work."""

    async def reported() -> bool:
        found = await slicer.operations.get(operation.name)
        assert not found.done, "the work was over too soon"
        return b"slice" in found.metadata.value or b"measure" in found.metadata.value

    await until(reported)


async def start_planning(slicer: SlicerClient, model: pb.Model) -> operations_pb2.Operation:
    request = pb.CreatePlanRequest(parent=model.name)
    request.plan.recipe.views = 64
    operation: operations_pb2.Operation = await slicer.call("CreatePlan", request)
    return operation


async def test_planning_a_model_that_was_deleted_ends_not_found(
    slicer: SlicerClient, slicer_server: ServiceProcess
) -> None:
    model = await slicer.submit(submission(CNN, classes=4, width=40, per_class=24))
    planning = await start_planning(slicer, model)
    await under_way(slicer, planning)
    await slicer.call("DeleteModel", pb.DeleteModelRequest(name=model.name))
    error = await refusal_of(slicer.operations.result(planning.name, plans_pb2.Plan))
    assert facts(error) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")
    assert scratch_of(slicer_server) == []


async def test_a_plan_deleted_while_its_slicing_waits_ends_the_slicing(
    slicer: SlicerClient,
) -> None:
    model = await slicer.submit(submission(MLP, classes=4))
    slow, quick = await slicer.plan(model.name, SLOW), await slicer.plan(model.name)
    # As many as run at once and more: all of one plan, so that they go one after the other.
    runs = [await slicer.start_slicing(slow.name, [label]) for label in 2 * list(model.labels)]
    waits = await slicer.start_slicing(quick.name)
    await slicer.call("DeletePlan", pb.DeletePlanRequest(name=quick.name))
    error = await refusal_of(slicer.operations.result(waits.name, pb.SliceModelResponse))
    assert facts(error) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")
    results: list[Message] = [
        await slicer.operations.result(run.name, pb.SliceModelResponse) for run in runs
    ]
    assert len(results) == 8


async def test_slicing_a_model_that_was_deleted_ends_not_found(
    slicer: SlicerClient, slicer_server: ServiceProcess
) -> None:
    model = await slicer.submit(submission(MLP, classes=4))
    plan = await slicer.plan(model.name, SLOW)
    slicing = await slicer.start_slicing(plan.name)
    await under_way(slicer, slicing)
    await slicer.call("DeleteModel", pb.DeleteModelRequest(name=model.name))
    error = await refusal_of(slicer.operations.result(slicing.name, pb.SliceModelResponse))
    assert facts(error) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")
    assert scratch_of(slicer_server) == []
    assert await slicer.is_serving()
