"""Prepares what a pack is judged by: evaluation samples, or fragments sliced anew in every fold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sliceandpack.packer.v1 import packs_pb2 as pb

from packer_svc.convert.evaluation import kind_name, kind_of
from packer_svc.fold_slicer import Dealing, FoldSlicer
from packer_svc.jobs import entries
from packer_svc.recipe import PackRecipe
from svckit.artifacts.digests import digest_from_name
from svckit.foundation import Foundation
from svckit.operations.job import JobContext


class Evaluations:
    """Prepares evaluations.

    Args:
        foundation: What the service stands on.
        slicer: Slices anew.
    """

    def __init__(self, foundation: Foundation, slicer: FoldSlicer) -> None:
        self._foundation = foundation
        self._slicer = slicer

    async def prepare(
        self,
        context: JobContext,
        recipe: PackRecipe,
        fragments: Sequence[dict[str, Any]],
        folder: Path,
    ) -> dict[str, Any]:
        """Returns what `Judge.of` reads.

        Args:
            context: The operation.
            recipe: What the pack is to be made of.
            fragments: The same as a worker is told of it.
            folder: A scratch folder.

        Raises:
            ServiceError: Samples are gone, a class has too few for folds, or slicing failed.
        """
        found: dict[str, Any] = {"kind": kind_name(recipe.options), "samples": None, "folds": []}
        kind = kind_of(recipe.options)
        if kind == pb.EVALUATION_KIND_EVALUATION_SAMPLES:
            digest = digest_from_name(recipe.options.evaluation_samples)
            found["samples"] = str(await self._foundation.artifacts.path(digest))
        elif kind == pb.EVALUATION_KIND_SLICED_ANEW:
            chosen = await self._foundation.workers.run(
                entries.FOLDS,
                {
                    "fragments": list(fragments),
                    "labels": _labels(fragments),
                    "seed": recipe.head.seed,
                },
                cancel=context.cancelled,
            )
            names = [str(part.fragment) for part in recipe.fragments]
            dealing = Dealing(chosen["folds"], chosen["count"], recipe.head.seed)
            found["folds"] = await self._slicer.slice(context, names, dealing, folder)
        return found


def _labels(fragments: Sequence[dict[str, Any]]) -> list[str]:
    """The labels of a pack's outputs in their order."""
    by_output = {one["output"]: str(one["part"]["label"]) for one in fragments}
    return [by_output[output] for output in sorted(by_output)]
