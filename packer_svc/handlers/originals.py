"""Finds the originals of a pack, so that its worker can time those that nobody timed here."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from packer_svc.fusion.original_times import OriginalTimes
from packer_svc.recipe import Ingredient
from packer_svc.slicer_client import SlicerClient
from svckit.errors import NotFound

GONE = "The model is gone from the slicer; the pack is made of copies of its fragments."
TOO_LARGE = "The model is too large to be timed beside the making of a pack."
UNKNOWN = "The pack that this one was made of does not say which graph the model had."

MOST_BYTES = 512 * 2**20
"""Of a graph that is timed. A worker holds several at once, and what it needs them for is a figure
in a report."""


async def originals_of(
    ingredients: Sequence[Ingredient], slicer: SlicerClient, times: OriginalTimes, folder: Path
) -> list[dict[str, Any]]:
    """Returns what a worker needs to time the originals; a graph only where its time is not kept.

    Args:
        ingredients: What the pack is made of.
        slicer: Where the graphs are.
        times: What was timed before.
        folder: Where a graph is downloaded to before it is kept.

    Raises:
        ServiceError: The slicer cannot be reached, or the disk is full.
    """
    # Equal in all but what older packs do not know: one that knows its graph goes first.
    known = sorted(ingredients, key=lambda one: not one.origin.model.graph_digest)
    first = {one.origin.model: one for one in reversed(known)}
    wanted = dict.fromkeys(one.origin.model for one in ingredients)
    found = []
    for model in wanted:
        one = first[model]
        found.append(_facts(one) | await _time_or_graph(one, slicer, times, folder))
    return found


def _facts(one: Ingredient) -> dict[str, Any]:
    model = one.origin.model
    return {
        "name": model.name,
        "graph_digest": model.graph_digest,
        "parameters": model.parameters,
        "macs": model.macs,
        "bytes": model.graph_bytes or None,
    }


async def _time_or_graph(
    one: Ingredient, slicer: SlicerClient, times: OriginalTimes, folder: Path
) -> dict[str, Any]:
    digest = one.origin.model.graph_digest
    if not digest:
        return {"run_time": None, "left_out": UNKNOWN}
    kept = await asyncio.to_thread(times.kept, digest)
    if kept is not None:
        return {"run_time": kept}
    if one.origin.model.graph_bytes > MOST_BYTES:
        return {"run_time": None, "left_out": TOO_LARGE}
    try:
        graph = await slicer.fetch(digest, folder)
    except NotFound:
        return {"run_time": None, "left_out": GONE}
    samples = await slicer.fetch(one.origin.samples_digest, folder)
    return {"run_time": None, "graph": str(graph), "samples": str(samples)}
