"""Plans a model in a worker and keeps the plan."""

from __future__ import annotations

from typing import Any

from sliceandpack.slicer.v1 import models_pb2 as pb
from sliceandpack.slicer.v1 import plans_pb2

from slicer_svc.convert.plans import decode_recipe, encode_plan, recipe_json, summary_json
from slicer_svc.handlers.basis import Wish
from slicer_svc.handlers.planning import Planning
from slicer_svc.jobs import entries
from slicer_svc.other_samples import OtherSamples
from slicer_svc.servicer.models import MODEL
from slicer_svc.store import models
from slicer_svc.store.tables import ModelRow, PlanRow
from svckit.artifacts.digests import Artifact
from svckit.foundation import Foundation
from svckit.operations.job import JobContext


class CreatePlanHandler:
    """Runs CreatePlan.

    Args:
        foundation: What the service stands on.
        planning: Runs planning jobs.
    """

    def __init__(self, foundation: Foundation, planning: Planning) -> None:
        self._foundation = foundation
        self._planning = planning

    async def __call__(self, context: JobContext, request: pb.CreatePlanRequest) -> plans_pb2.Plan:
        """Makes and keeps a plan.

        Raises:
            ServiceError: The model is gone, the budget cannot be reached, or a worker failed.
        """
        (model_id,) = MODEL.parse(request.parent, "parent")
        plan_id = f"p-{context.job.operation.rpartition('/')[2][:12]}"
        asked = request.plan.recipe
        wish = Wish(decode_recipe(asked), asked.own_samples_only)
        async with self._foundation.database.reading() as session:
            done = await session.get(PlanRow, (model_id, plan_id))
            if done is not None:
                return encode_plan(done)
            model = await models.get(session, model_id)
        found = await self._planning.run(context, model, wish, entries.PLAN)
        assert found.document is not None, "a plan is written"
        row = _new_row((model.id, plan_id), wish, found.result["plan"], found.document)
        row.create_time = self._foundation.clock.now()
        return await self._kept(model, row, found.others)

    async def _kept(
        self, model: ModelRow, row: PlanRow, others: OtherSamples | None
    ) -> plans_pb2.Plan:
        references = self._foundation.references
        async with self._foundation.database.writing() as session:
            await models.lock(session, model)
            session.add(row)
            await references.add(session, row.name, "document", row.document_digest)
            if others is not None:
                row.other_samples = others.to_json()
                await references.add(session, row.name, "other-samples", others.digest)
            return encode_plan(row)


def _new_row(
    ids: tuple[str, str], wish: Wish, document: dict[str, Any], stored: Artifact
) -> PlanRow:
    model_id, plan_id = ids
    return PlanRow(
        model_id=model_id,
        id=plan_id,
        recipe=recipe_json(wish.recipe, own_samples_only=wish.own_samples_only),
        summary=summary_json(document),
        document_digest=stored.digest,
        document_size=stored.size_bytes,
    )
