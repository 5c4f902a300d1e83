"""Plans a model in a worker and keeps the plan and the measurements that it rests on."""

from __future__ import annotations

from typing import Any

from sliceandpack.slicer.v1 import models_pb2 as pb
from sliceandpack.slicer.v1 import plans_pb2

from slicer_svc.convert.plans import decode_recipe, encode_plan, recipe_json, summary_json
from slicer_svc.handlers.basis import Bases, Basis, Wish, latency_key
from slicer_svc.handlers.progress import step_of
from slicer_svc.handlers.turns import Turns
from slicer_svc.jobs import entries
from slicer_svc.other_samples import OtherSamples
from slicer_svc.servicer.models import MODEL
from slicer_svc.store import models
from slicer_svc.store.tables import ModelRow, PlanRow
from svckit.artifacts.digests import Artifact
from svckit.foundation import Foundation
from svckit.operations.job import JobContext

_WRITTEN = {
    "document": "plan.json",
    "new_curves": "curves.json",
    "new_latency": "latency.json",
    "new_other_samples": "other_samples.npz",
}
"""What a worker writes, as files of a scratch folder."""


class CreatePlanHandler:
    """Runs CreatePlan.

    Args:
        foundation: What the service stands on.
    """

    def __init__(self, foundation: Foundation) -> None:
        self._foundation = foundation
        self._bases = Bases(foundation)
        self._turns = Turns()

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
        if wish.recipe.needs_latency or (await self._bases.of(model, wish)).curves is None:
            # Of two requests that measure a model, the second finds what the first has kept; and
            # times are not measured while the other makes the processor busy.
            async with self._turns.of(model.name):
                return await self._planned(context, model, plan_id, wish)
        return await self._planned(context, model, plan_id, wish)

    async def _planned(
        self, context: JobContext, model: ModelRow, plan_id: str, wish: Wish
    ) -> plans_pb2.Plan:
        basis = await self._bases.of(model, wish)
        others = basis.other_samples
        with self._foundation.scratch() as folder:
            result = await self._foundation.workers.run(
                entries.PLAN,
                {
                    "recipe": wish.recipe.to_json(),
                    **await self._files(model, basis),
                    **{name: str(folder / file) for name, file in _WRITTEN.items()},
                },
                on_progress=lambda step: context.note(step_of(step)),
                cancel=context.cancelled,
            )
            stored = await self._foundation.artifacts.put_file(folder / _WRITTEN["document"])
            if result["chosen"] is not None:
                path = folder / _WRITTEN["new_other_samples"]
                others = await self._bases.stored(result["chosen"], path)
            if "curves" in result["measured"]:
                path = folder / _WRITTEN["new_curves"]
                await self._bases.keep(model, basis.key, path, others)
            if "latency" in result["measured"]:
                path = folder / _WRITTEN["new_latency"]
                await self._bases.keep(model, latency_key(model), path)
        row = _new_row((model.id, plan_id), wish, result["plan"], stored)
        row.create_time = self._foundation.clock.now()
        return await self._kept(model, row, others)

    async def _files(self, model: ModelRow, basis: Basis) -> dict[str, Any]:
        """What a worker reads."""
        others = basis.other_samples
        return {
            "normalised": await self._path(model.normalised_digest),
            "samples": await self._path(model.samples_digest),
            "inputs": model.inputs,
            "curves": await self._path(basis.curves),
            "latency": await self._path(basis.latency),
            "other_samples": await self._path(None if others is None else others.digest),
            "candidates": [
                {
                    "model": candidate.name,
                    "samples": await self._path(candidate.samples_digest),
                    "count": candidate.sample_count,
                    "inputs": [spec.to_json() for spec in candidate.inputs],
                }
                for candidate in basis.candidates
            ],
        }

    async def _path(self, digest: str | None) -> str | None:
        return None if digest is None else str(await self._foundation.artifacts.path(digest))

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
