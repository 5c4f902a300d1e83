"""Says to the outside whether this replica is fit to be called."""

from __future__ import annotations

import asyncio

from serving.client import TritonClient
from serving.errors import ServingError
from serving.reconciler.fleet import Fleet
from svckit.lifecycle import Runtime

_POLL_SECONDS = 0.25
# One that is gone refuses the connection at once; one that is busy is to be given time.
_CALL_SECONDS = 5.0


async def publish_status(triton: TritonClient, fleet: Fleet, runtime: Runtime) -> None:
    """Sets the server's health and the metric `deployment_ready`; runs until cancelled.

    The replica is ready when Triton is live and every deployment that was desired at its start is
    loaded, or has failed with a reason that was reported: one that failed is not ready by name,
    and takes no other down.

    Args:
        triton: The Triton.
        fleet: The deployments.
        runtime: Whose health and metrics are set.
    """
    live = True
    while True:
        live_now = await _is_live(triton)
        if live_now and not live:
            # Whoever was away has forgotten what was loaded.
            fleet.triton_restarted()
        live = live_now
        ready = live and fleet.warm
        if ready != runtime.readiness.ready:
            await runtime.readiness.set(ready)
        for standing, count in fleet.standings.items():
            runtime.metrics.deployment_ready.labels(state=standing.value).set(count)
        await asyncio.sleep(_POLL_SECONDS)


async def _is_live(triton: TritonClient) -> bool:
    try:
        return await triton.is_live(deadline=_CALL_SECONDS)
    except ServingError:
        return False
