"""Makes the specifications that models lack: of models from before there were any, or of others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import structlog

from slicer_svc.jobs import entries
from slicer_svc.store import models, specifications
from slicer_svc.store.tables import ModelRow, SpecificationRow
from specification.model import VERSION
from svckit.errors import InvalidArgument, NotFound, ResourceExhausted, ServiceError
from svckit.foundation import Foundation

_log = structlog.stdlib.get_logger(__name__)


class MissingSpecifications:
    """Makes them in the workers, one after the other, between what clients ask for.

    Args:
        foundation: What the service stands on.
    """

    INTERVAL_SECONDS = 60.0
    """The time between two looks at which models lack one."""

    def __init__(self, foundation: Foundation) -> None:
        self._foundation = foundation

    async def settle(self) -> None:
        """Makes those that are missing, or of another version than searches compare."""
        async with self._foundation.database.reading() as session:
            ids = await specifications.unspecified(session, VERSION)
        for model_id in ids:
            try:
                await self._specify(model_id)
            except NotFound:
                continue  # It was deleted meanwhile.
            except ServiceError as error:
                # One that a worker died of may not keep the others from theirs.
                _log.warning("not_specified", model=model_id, reason=error.reason_name)

    async def _specify(self, model_id: str) -> None:
        async with self._foundation.database.reading() as session:
            model = await models.get(session, model_id)
        with self._foundation.scratch() as folder:
            made = await self._made(model, folder / "specification")
            row = await stored_specification(self._foundation, made, folder / "specification")
        async with self._foundation.database.writing() as session:
            await models.lock(session, model)
            await specifications.replace(session, model.id, row)
            if row.digest is not None:
                await self._foundation.references.add(
                    session, model.name, specifications.ROLE, row.digest
                )
        _log.info("specified", model=model_id, missing=row.missing)

    async def _made(self, model: ModelRow, path: Path) -> dict[str, Any]:
        artifacts = self._foundation.artifacts
        request = {
            "normalised": str(await artifacts.path(model.normalised_digest)),
            "samples": str(await artifacts.path(model.samples_digest)),
            "specification": str(path),
            "labels": list(model.labels),
            "inputs": list(model.inputs),
        }
        try:
            return await self._foundation.workers.run(entries.SPECIFY_MODEL, request)
        except (InvalidArgument, ResourceExhausted) as error:
            if error.retry_seconds is not None:
                raise
            # It would end so again, however often it is tried.
            return {"version": VERSION, "facts": {}, "missing": error.message}


async def stored_specification(
    foundation: Foundation, made: dict[str, Any], path: Path
) -> SpecificationRow:
    """Stores what a worker made; until the row is kept, nothing holds it.

    Args:
        foundation: What the service stands on.
        made: What `slicer_svc.jobs.specify_model.specified` says.
        path: Where it wrote the specification, if there is one.
    """
    stored = None if made["missing"] else await foundation.artifacts.put_file(path)
    return specifications.specification_row(made, stored, foundation.clock.now())
