"""Checks a submission in a worker and keeps the model that passes."""

from __future__ import annotations

from typing import Any

from sliceandpack.slicer.v1 import models_pb2 as pb
from sqlalchemy.ext.asyncio import AsyncSession

from slicer_svc.convert.models import encode_model
from slicer_svc.handlers.progress import step_of
from slicer_svc.jobs import entries
from slicer_svc.search.missing import stored_specification
from slicer_svc.store import models, specifications
from slicer_svc.store.tables import ModelClassRow, ModelRow
from svckit.artifacts.digests import Artifact, digest_from_name
from svckit.foundation import Foundation
from svckit.input_messages import decode_input
from svckit.operations.job import JobContext


class CreateModelHandler:
    """Runs CreateModel.

    Args:
        foundation: What the service stands on.
    """

    def __init__(self, foundation: Foundation) -> None:
        self._foundation = foundation

    async def __call__(self, context: JobContext, request: pb.CreateModelRequest) -> pb.Model:
        """Checks and keeps a model.

        Raises:
            ServiceError: The submission is refused, or a worker failed.
        """
        operation = context.job.operation
        model_id = request.model_id or f"m-{operation.rpartition('/')[2][:12]}"
        kept = await self._kept(model_id, operation)
        if kept is not None:
            return kept
        graph = digest_from_name(request.model.graph.name)
        samples = digest_from_name(request.model.samples.name)
        artifacts = self._foundation.artifacts
        with self._foundation.scratch() as folder:
            found = await self._foundation.workers.run(
                entries.CHECK,
                {
                    "graph": str(await artifacts.path(graph)),
                    "samples": str(await artifacts.path(samples)),
                    "normalised": str(folder / "normalised.onnx"),
                    "specification": str(folder / "specification"),
                    "labels": list(request.model.labels),
                    "inputs": [decode_input(spec).to_json() for spec in request.model.inputs],
                },
                on_progress=lambda step: context.note(step_of(step)),
                cancel=context.cancelled,
            )
            stored = (
                await artifacts.stat(graph),
                await artifacts.stat(samples),
                await artifacts.put_file(folder / "normalised.onnx"),
            )
            specification = await stored_specification(
                self._foundation, found["specification"], folder / "specification"
            )
        row = _new_row((model_id, operation), request.model, found["model"], stored)
        row.create_time = row.update_time = self._foundation.clock.now()
        row.specification = specification
        async with self._foundation.database.writing() as session:
            return await self._keep(session, row)

    async def _kept(self, model_id: str, operation: str) -> pb.Model | None:
        """What an attempt before a crash has kept already."""
        async with self._foundation.database.reading() as session:
            row = await session.get(ModelRow, model_id)
            return encode_model(row) if row is not None and row.operation == operation else None

    async def _keep(self, session: AsyncSession, row: ModelRow) -> pb.Model:
        await models.insert(session, row)
        digests = {
            "graph": row.graph_digest,
            "samples": row.samples_digest,
            "normalised": row.normalised_digest,
        }
        if row.specification is not None and row.specification.digest is not None:
            digests[specifications.ROLE] = row.specification.digest
        await self._foundation.references.add_all(session, row.name, digests)
        return encode_model(row)


def _new_row(
    ids: tuple[str, str],
    model: pb.Model,
    found: dict[str, Any],
    stored: tuple[Artifact, Artifact, Artifact],
) -> ModelRow:
    model_id, operation = ids
    graph, samples, normalised = stored
    return ModelRow(
        id=model_id,
        operation=operation,
        display_name=model.display_name,
        licence=model.licence,
        graph_digest=graph.digest,
        graph_size=graph.size_bytes,
        samples_digest=samples.digest,
        samples_size=samples.size_bytes,
        normalised_digest=normalised.digest,
        normalised_size=normalised.size_bytes,
        labels=list(model.labels),
        revision=1,
        classes=[
            ModelClassRow(place=place, label=label) for place, label in enumerate(model.labels)
        ],
        **found,
    )
