"""Plans a model in a worker and keeps the plan and the measurements that it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sliceandpack.slicer.v1 import models_pb2 as pb
from sliceandpack.slicer.v1 import plans_pb2

from slicer_svc.convert.plans import decode_recipe, encode_plan, recipe_json, summary_json
from slicer_svc.handlers.progress import step_of
from slicer_svc.handlers.turns import Turns
from slicer_svc.jobs import entries
from slicer_svc.servicer.models import MODEL
from slicer_svc.slicing.recipe import Recipe
from slicer_svc.slicing.version import METHOD_VERSION
from slicer_svc.store import models
from slicer_svc.store.tables import CurvesRow, ModelRow, PlanRow
from svckit.artifacts.digests import Artifact, digest_of
from svckit.foundation import Foundation
from svckit.operations.job import JobContext


@dataclass(frozen=True)
class _Kept:
    """What is kept of a model's measurements, as digests.

    Attributes:
        curves: Its curves for the recipe's views.
        latency: The times of its nodes, by machine.
    """

    curves: str | None
    latency: str | None


class CreatePlanHandler:
    """Runs CreatePlan.

    Args:
        foundation: What the service stands on.
    """

    def __init__(self, foundation: Foundation) -> None:
        self._foundation = foundation
        self._turns = Turns()

    async def __call__(self, context: JobContext, request: pb.CreatePlanRequest) -> plans_pb2.Plan:
        """Makes and keeps a plan.

        Raises:
            ServiceError: The model is gone, the budget cannot be reached, or a worker failed.
        """
        (model_id,) = MODEL.parse(request.parent, "parent")
        plan_id = f"p-{context.job.operation.rpartition('/')[2][:12]}"
        recipe = decode_recipe(request.plan.recipe)
        async with self._foundation.database.reading() as session:
            done = await session.get(PlanRow, (model_id, plan_id))
            if done is not None:
                return encode_plan(done)
            model = await models.get(session, model_id)
        if recipe.needs_latency or (await self._kept(model, recipe)).curves is None:
            # Of two requests that measure a model, the second finds what the first has kept; and
            # times are not measured while the other makes the processor busy.
            async with self._turns.of(model.name):
                return await self._planned(context, model, plan_id, recipe)
        return await self._planned(context, model, plan_id, recipe)

    async def _planned(
        self, context: JobContext, model: ModelRow, plan_id: str, recipe: Recipe
    ) -> plans_pb2.Plan:
        kept = await self._kept(model, recipe)
        artifacts = self._foundation.artifacts
        with self._foundation.scratch() as folder:
            result = await self._foundation.workers.run(
                entries.PLAN,
                {
                    "normalised": str(await artifacts.path(model.normalised_digest)),
                    "samples": str(await artifacts.path(model.samples_digest)),
                    "inputs": model.inputs,
                    "recipe": recipe.to_json(),
                    "curves": await self._path(kept.curves),
                    "latency": await self._path(kept.latency),
                    "document": str(folder / "plan.json"),
                    "new_curves": str(folder / "curves.json"),
                    "new_latency": str(folder / "latency.json"),
                },
                on_progress=lambda step: context.note(step_of(step)),
                cancel=context.cancelled,
            )
            stored = await artifacts.put_file(folder / "plan.json")
            if "curves" in result["measured"]:
                await self._keep(model, curves_key(model, recipe), folder / "curves.json")
            if "latency" in result["measured"]:
                await self._keep(model, latency_key(model), folder / "latency.json")
        row = _new_row((model.id, plan_id), recipe, result["plan"], stored)
        row.create_time = self._foundation.clock.now()
        async with self._foundation.database.writing() as session:
            await models.lock(session, model)
            session.add(row)
            await self._foundation.references.add(session, row.name, "document", stored.digest)
            return encode_plan(row)

    async def _kept(self, model: ModelRow, recipe: Recipe) -> _Kept:
        async with self._foundation.database.reading() as session:
            return _Kept(
                await models.measurements(session, model.id, curves_key(model, recipe)),
                await models.measurements(session, model.id, latency_key(model)),
            )

    async def _path(self, digest: str | None) -> str | None:
        return None if digest is None else str(await self._foundation.artifacts.path(digest))

    async def _keep(self, model: ModelRow, key: str, path: Path) -> None:
        """Keeps measurements in place of earlier ones."""
        digest = (await self._foundation.artifacts.put_file(path)).digest
        now = self._foundation.clock.now()
        async with self._foundation.database.writing() as session:
            await models.lock(session, model)
            row = CurvesRow(model_id=model.id, key=key, digest=digest, create_time=now)
            await session.merge(row)
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


def latency_key(model: ModelRow) -> str:
    """Returns a digest of all that the times of a model depend on, but for the machine."""
    return digest_of(f"latency\n{model.normalised_digest}\n{METHOD_VERSION}".encode())


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
