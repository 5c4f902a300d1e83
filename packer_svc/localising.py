"""Has the slicer cut out what classes of a model need, to be cloned into another model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import grpc
from google.longrunning.operations_pb2 import Operation
from sliceandpack.operation.v1.operation_events_pb2 import OperationEvent, Progress
from sliceandpack.slicer.v1 import models_pb2, models_pb2_grpc, plans_pb2

from packer_svc.ordered import OrderedWork
from packer_svc.slicer_client import CALL_SECONDS
from packer_svc.slicer_work import SlicerWork, Wanted
from svckit.operations.job import JobContext


class Localiser:
    """Orders fragments of one model that share one graph.

    Args:
        channel: A channel to the slicer.
        ordered: Remembers what was ordered.
    """

    def __init__(self, channel: grpc.aio.Channel, ordered: OrderedWork) -> None:
        self._models: models_pb2_grpc.ModelsAsyncStub = models_pb2_grpc.ModelsStub(channel)
        self._work = SlicerWork(channel)
        self._ordered = ordered

    async def fragments(
        self, context: JobContext, model: str, labels: Sequence[str], recipe: plans_pb2.Recipe
    ) -> list[str]:
        """Returns the names of the fragments of classes, in the order of their labels.

        Args:
            context: The operation's.
            model: The model's name.
            labels: The classes.
            recipe: How large they may be, and by which seed they are cut.

        Raises:
            ServiceError: The slicer cannot be reached, refused, or failed.
        """
        note = partial(self._ordered.note, context.job.operation)
        asked = models_pb2.CreatePlanRequest(parent=model, plan=plans_pb2.Plan(recipe=recipe))
        kind = f"{model} {recipe.SerializeToString(deterministic=True)!r}"

        async def plan(request_id: str) -> Operation:
            asked.request_id = request_id
            return await self._models.CreatePlan(asked, timeout=CALL_SECONDS)

        def tell(event: OperationEvent) -> None:
            context.note(_progress(event.progress))

        wanted_plan = Wanted(f"plan {kind}", plan, plans_pb2.Plan)
        made = await self._work.run(context, wanted_plan, note, tell)
        cut = models_pb2.SliceModelRequest(name=model, plan=made.name, labels=labels, joint=True)

        async def slices(request_id: str) -> Operation:
            cut.request_id = request_id
            return await self._models.SliceModel(cut, timeout=CALL_SECONDS)

        wanted = Wanted(f"slice {made.name} {labels}", slices, models_pb2.SliceModelResponse)
        found = await self._work.run(context, wanted, note, tell)
        by_label = {one.label: one.name for one in found.fragments}
        return [by_label[label] for label in labels]


def _progress(told: Progress) -> Progress:
    found = Progress()
    found.CopyFrom(told)
    found.phase = "localise"
    return found
