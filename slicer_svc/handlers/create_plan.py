"""Plans a model in a worker and keeps the plan and the curves that it rests on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sliceandpack.slicer.v1 import models_pb2 as pb
from sliceandpack.slicer.v1 import plans_pb2

from slicer_svc.convert.plans import decode_recipe, encode_plan, recipe_json, summary_json
from slicer_svc.handlers.progress import step_of
from slicer_svc.jobs import entries
from slicer_svc.servicer.models import MODEL
from slicer_svc.slicing.recipe import Recipe
from slicer_svc.slicing.version import METHOD_VERSION
from slicer_svc.store import models
from slicer_svc.store.tables import CurvesRow, ModelRow, PlanRow
from svckit.artifacts.digests import Artifact, digest_of
from svckit.foundation import Foundation
from svckit.operations.job import JobContext


class CreatePlanHandler:
    """Runs CreatePlan.

    Args:
        foundation: What the service stands on.
    """

    def __init__(self, foundation: Foundation) -> None:
        self._foundation = foundation

    async def __call__(self, context: JobContext, request: pb.CreatePlanRequest) -> plans_pb2.Plan:
        """Makes and keeps a plan.

        Raises:
            ServiceError: The model is gone, the budget cannot be reached, or a worker failed.
        """
        (model_id,) = MODEL.parse(request.parent, "parent")
        plan_id = f"p-{context.job.operation.rpartition('/')[2][:12]}"
        recipe = decode_recipe(request.plan.recipe)
        async with self._foundation.database.reading() as session:
            kept = await session.get(PlanRow, (model_id, plan_id))
            if kept is not None:
                return encode_plan(kept)
            model = await models.get(session, model_id)
            key = curves_key(model, recipe)
            curves = await models.curves(session, model_id, key)
        artifacts = self._foundation.artifacts
        with self._foundation.scratch() as folder:
            document = await self._foundation.workers.run(
                entries.PLAN,
                {
                    "normalised": str(await artifacts.path(model.normalised_digest)),
                    "samples": str(await artifacts.path(model.samples_digest)),
                    "inputs": model.inputs,
                    "recipe": recipe.to_json(),
                    "curves": None if curves is None else str(await artifacts.path(curves)),
                    "document": str(folder / "plan.json"),
                    "new_curves": str(folder / "curves.json"),
                },
                on_progress=lambda step: context.note(step_of(step)),
                cancel=context.cancelled,
            )
            stored = await artifacts.put_file(folder / "plan.json")
            if curves is None:
                await self._keep_curves(model, key, folder / "curves.json")
        row = _new_row((model_id, plan_id), recipe, document, stored)
        row.create_time = self._foundation.clock.now()
        async with self._foundation.database.writing() as session:
            await models.lock(session, model)
            session.add(row)
            await self._foundation.references.add(session, row.name, "document", stored.digest)
            return encode_plan(row)

    async def _keep_curves(self, model: ModelRow, key: str, path: Path) -> None:
        digest = (await self._foundation.artifacts.put_file(path)).digest
        now = self._foundation.clock.now()
        async with self._foundation.database.writing() as session:
            await models.lock(session, model)
            if await models.curves(session, model.id, key) is None:
                session.add(CurvesRow(model_id=model.id, key=key, digest=digest, create_time=now))
                await self._foundation.references.add(
                    session, model.name, f"curves-{key[-12:]}", digest
                )


def curves_key(model: ModelRow, recipe: Recipe) -> str:
    """Returns a digest of all that a model's curves depend on."""
    parts = (
        model.normalised_digest,
        model.samples_digest,
        str(recipe.views),
        str(recipe.seed),
        METHOD_VERSION,
    )
    return digest_of("\n".join(parts).encode())


def _new_row(
    ids: tuple[str, str], recipe: Recipe, document: dict[str, Any], stored: Artifact
) -> PlanRow:
    model_id, plan_id = ids
    return PlanRow(
        model_id=model_id,
        id=plan_id,
        recipe=recipe_json(recipe),
        summary=summary_json(document),
        document_digest=stored.digest,
        document_size=stored.size_bytes,
    )
