"""Sees that Triton runs a model where its configuration asks."""

from __future__ import annotations

import asyncio

from serving.errors import PlacementError
from serving.model_config import InstanceKind
from serving.reconciler.site import Site


async def check_placement(site: Site, name: str) -> None:
    """Compares where Triton says that a loaded model runs with what its configuration asks.

    Triton fills in what a configuration leaves open, and refuses GPUs that are not there at the
    load; what it says then is what its backend was told.

    Args:
        site: The Triton.
        name: A model that is loaded.

    Raises:
        PlacementError: It runs elsewhere.
        ServingError: Triton does not say.
    """
    asked = await asyncio.to_thread(site.repository.instance_kind, name)
    if asked is None:
        return  # Whoever looks at the files says what is wrong with them.
    placements = await site.triton.placements(name)
    for placement in placements:
        lacks_gpu = asked is InstanceKind.GPU and not placement.gpus
        if placement.kind != asked or lacks_gpu:
            raise PlacementError(
                f"Triton runs {name!r} on {placement.kind} with {len(placement.gpus)} GPUs, and "
                f"{asked} was asked for",
                advice="Give Triton what the reconciler's instance_kind asks, or change that.",
                metadata={"asked": asked, "found": placement.kind},
            )
