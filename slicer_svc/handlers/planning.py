"""Runs what plans models in workers, and keeps what had to be measured for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slicer_svc.handlers.basis import Bases, Basis, Wish, latency_key
from slicer_svc.handlers.progress import step_of
from slicer_svc.handlers.turns import Turns
from slicer_svc.other_samples import OtherSamples
from slicer_svc.store.tables import ModelRow
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


@dataclass(frozen=True)
class Found:
    """What a worker found.

    Attributes:
        result: What it says.
        others: Samples of other models that its measurements read beside the model's own.
        document: The plan that it wrote; None for one that writes none.
    """

    result: dict[str, Any]
    others: OtherSamples | None
    document: Artifact | None


class Planning:
    """Runs the jobs that rest on a model's measurements.

    Args:
        foundation: What the service stands on.
    """

    def __init__(self, foundation: Foundation) -> None:
        self._foundation = foundation
        self._bases = Bases(foundation)
        self._turns = Turns()

    async def run(
        self,
        context: JobContext,
        model: ModelRow,
        wish: Wish,
        entry: str,
        more: Mapping[str, Any] | None = None,
    ) -> Found:
        """Runs a job with what is measured of a model, and keeps what it measures.

        Args:
            context: The operation's.
            model: The model.
            wish: What the job is asked for.
            entry: The job.
            more: What it is told beside the recipe and its files.

        Raises:
            ServiceError: The model is gone, the budget cannot be reached, or a worker failed.
        """
        if wish.recipe.needs_latency or (await self._bases.of(model, wish)).curves is None:
            # Of two requests that measure a model, the second finds what the first has kept; and
            # times are not measured while the other makes the processor busy.
            async with self._turns.of(model.name):
                return await self._ran(context, model, wish, entry, more or {})
        return await self._ran(context, model, wish, entry, more or {})

    async def _ran(
        self,
        context: JobContext,
        model: ModelRow,
        wish: Wish,
        entry: str,
        more: Mapping[str, Any],
    ) -> Found:
        basis = await self._bases.of(model, wish)
        others = basis.other_samples
        with self._foundation.scratch() as folder:
            result = await self._foundation.workers.run(
                entry,
                {
                    "recipe": wish.recipe.to_json(),
                    **more,
                    **await self._files(model, basis),
                    **{name: str(folder / file) for name, file in _WRITTEN.items()},
                },
                on_progress=lambda step: context.note(step_of(step)),
                cancel=context.cancelled,
            )
            document = None
            if "plan" in result:
                path = folder / _WRITTEN["document"]
                document = await self._foundation.artifacts.put_file(path)
            if result["chosen"] is not None:
                path = folder / _WRITTEN["new_other_samples"]
                others = await self._bases.stored(result["chosen"], path)
            if "curves" in result["measured"]:
                path = folder / _WRITTEN["new_curves"]
                await self._bases.keep(model, basis.key, path, others)
            if "latency" in result["measured"]:
                path = folder / _WRITTEN["new_latency"]
                await self._bases.keep(model, latency_key(model), path)
        return Found(result, others, document)

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
