"""Slices classes anew from the samples outside of a fold; keeps no more than bytes, for a day."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from sliceandpack.slicer.v1 import fragments_pb2, plans_pb2
from sliceandpack.slicer.v1 import models_pb2 as pb
from sqlalchemy.ext.asyncio import AsyncSession

from slicer_svc.convert.fragments import decode_fold, encode_unkept
from slicer_svc.convert.plans import decode_recipe
from slicer_svc.handlers.basis import latency_key
from slicer_svc.handlers.progress import step_of
from slicer_svc.jobs import entries
from slicer_svc.other_samples import OtherModel, OtherSamples
from slicer_svc.servicer.models import MODEL
from slicer_svc.servicer.plans import PLAN
from slicer_svc.store import fragments, models
from slicer_svc.store.other_models import fed_like
from slicer_svc.store.tables import ModelRow, PlanRow
from svckit.foundation import Foundation
from svckit.operations.job import JobContext


class HeldOutSlicing:
    """Runs SliceModel with a fold held out.

    Plan and fragments get no rows: who judges a pack by them reads the graphs at once. Nothing
    refers to those, so the sweeper takes them a day later, whatever became of whoever asked.

    Args:
        foundation: What the service stands on.
    """

    def __init__(self, foundation: Foundation) -> None:
        self._foundation = foundation

    async def __call__(
        self, context: JobContext, request: pb.SliceModelRequest
    ) -> pb.SliceModelResponse:
        """Plans by the recipe of the plan, and slices.

        Raises:
            ServiceError: The model or plan is gone, or a worker failed.
        """
        (model_id,) = MODEL.parse(request.name)
        _, plan_id = PLAN.parse(request.plan, "plan")
        async with self._foundation.database.reading() as session:
            model = await models.get(session, model_id)
            plan = await fragments.plan(session, model_id, plan_id)
            times = await models.measurements(session, model.id, latency_key(model))
            others = await _still_there(session, model, plan)
        wanted = list(request.labels) or model.labels
        made: dict[str, fragments_pb2.Fragment] = {}

        async def take(report: dict[str, Any]) -> None:
            if "fragment" in report:
                found = report["fragment"]
                graph = await self._foundation.artifacts.put_file(Path(found["path"]))
                for place in found["classes"]:
                    made[model.labels[place]] = encode_unkept(model, plan, place, found, graph)
            else:
                context.note(step_of(report["progress"], model.labels))

        with self._foundation.scratch() as folder:
            await self._foundation.workers.run(
                entries.SLICE_HELD_OUT,
                {
                    **await self._files(model, others, None if times is None else times.digest),
                    "held_out": asdict(decode_fold(request.held_out)),
                    "recipe": _recipe(plan),
                    "classes": [model.labels.index(label) for label in wanted],
                    "joint": request.joint,
                    "labels": model.labels,
                    "folder": str(folder),
                    "new_other_samples": str(folder / "other_samples.npz"),
                },
                on_progress=take,
                cancel=context.cancelled,
            )
        return pb.SliceModelResponse(fragments=[made[label] for label in wanted])

    async def _files(
        self, model: ModelRow, others: tuple[OtherModel, ...], latency: str | None
    ) -> dict[str, Any]:
        """What a worker reads."""
        return {
            "normalised": await self._path(model.normalised_digest),
            "samples": await self._path(model.samples_digest),
            "inputs": model.inputs,
            "latency": None if latency is None else await self._path(latency),
            "other_samples": None,
            "candidates": [
                {
                    "model": other.name,
                    "samples": await self._path(other.samples_digest),
                    "inputs": [spec.to_json() for spec in other.inputs],
                }
                for other in others
            ],
        }

    async def _path(self, digest: str) -> str:
        return str(await self._foundation.artifacts.path(digest))


async def _still_there(
    session: AsyncSession, model: ModelRow, plan: PlanRow
) -> tuple[OtherModel, ...]:
    """The models whose samples the plan reads, as far as the market still has them."""
    if plan.other_samples is None:
        return ()
    read = OtherSamples.from_json(plan.other_samples).models
    return tuple(other for other in await fed_like(session, model) if other.name in read)


def _recipe(plan: PlanRow) -> dict[str, Any]:
    message = json_format.ParseDict(plan.recipe, plans_pb2.Recipe())
    return decode_recipe(message).to_json()
