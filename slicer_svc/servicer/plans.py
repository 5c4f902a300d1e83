"""The methods on plans."""

from __future__ import annotations

from typing import Any

import grpc
from google.longrunning import operations_pb2
from google.protobuf import empty_pb2
from sliceandpack.slicer.v1 import models_pb2 as pb
from sliceandpack.slicer.v1 import models_pb2_grpc, plans_pb2
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from slicer_svc.convert.plans import encode_plan, front_violations, recipe_violations
from slicer_svc.servicer.models import MODEL
from slicer_svc.store import fragments, models
from slicer_svc.store.tables import PlanRow
from svckit.foundation import Foundation
from svckit.listing import Listing, ListQuery, fetch_page
from svckit.names import ResourcePattern
from svckit.operations.replay import Call
from svckit.validation import refuse

Context = grpc.aio.ServicerContext[Any, Any]

PLAN = ResourcePattern.of(plans_pb2.Plan)
LISTING = Listing(
    filters={"method": lambda method: PlanRow.recipe["method"].as_string() == f"METHOD_{method}"},
    orders={"create_time": PlanRow.__table__.c.create_time, "name": PlanRow.__table__.c.id},
    default_order="create_time desc",
    key="name",
)


class PlanMethods(models_pb2_grpc.ModelsServicer):
    """Makes, shows and deletes plans.

    Args:
        foundation: What the service stands on.
    """

    def __init__(self, foundation: Foundation) -> None:
        self._foundation = foundation

    async def CreatePlan(
        self, request: pb.CreatePlanRequest, context: Context
    ) -> operations_pb2.Operation:
        """Queues the making of a plan."""
        (model_id,) = MODEL.parse(request.parent, "parent")
        refuse(recipe_violations(request.plan.recipe))

        async def check(session: AsyncSession) -> None:
            await models.get(session, model_id)

        return await self._foundation.accept(request, request.parent, check, request.plan)

    async def PredictFront(
        self, request: pb.PredictFrontRequest, context: Context
    ) -> operations_pb2.Operation:
        """Queues the prediction of a front."""
        (model_id,) = MODEL.parse(request.name)
        refuse(front_violations(request))

        async def check(session: AsyncSession) -> None:
            await models.get(session, model_id)

        return await self._foundation.accept(
            request, request.name, check, pb.PredictFrontResponse()
        )

    async def GetPlan(self, request: pb.GetPlanRequest, context: Context) -> plans_pb2.Plan:
        """Returns one plan."""
        model_id, plan_id = PLAN.parse(request.name)
        async with self._foundation.database.reading() as session:
            return encode_plan(await fragments.plan(session, model_id, plan_id))

    async def ListPlans(
        self, request: pb.ListPlansRequest, context: Context
    ) -> pb.ListPlansResponse:
        """Lists the plans of a model."""
        (model_id,) = MODEL.parse(request.parent, "parent")
        query = ListQuery.of(request, request.parent)
        statement = select(PlanRow).where(PlanRow.model_id == model_id)
        async with self._foundation.database.reading() as session:
            await models.get(session, model_id)
            page = await fetch_page(
                session, statement, LISTING, query, self._foundation.page_tokens, encode_plan
            )
            return pb.ListPlansResponse(plans=page.items, next_page_token=page.next_page_token)

    async def DeletePlan(self, request: pb.DeletePlanRequest, context: Context) -> empty_pb2.Empty:
        """Deletes a plan; fragments made from it stay."""
        model_id, plan_id = PLAN.parse(request.name)

        async def delete(session: AsyncSession) -> empty_pb2.Empty:
            row = await fragments.plan(session, model_id, plan_id)
            await self._foundation.references.remove(session, row.name)
            await session.delete(row)
            return empty_pb2.Empty()

        call = Call("DeletePlan", request, request.request_id)
        return await self._foundation.operations.replay.once(call, delete, empty_pb2.Empty)
