"""Says to the outside whether this replica is fit to be called."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from serving.client import TritonClient
from serving.connection import held_connection
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
    was_away = False
    async with held_connection(triton.address) as lost:
        while True:
            if lost.is_set():
                lost.clear()
                was_away = True
                await _publish(runtime, ready=False)
            live = await _is_live(triton)
            if live and was_away:
                # Whoever was away has forgotten what was loaded.
                fleet.triton_restarted()
            was_away = not live
            await _publish(runtime, ready=live and fleet.warm and not lost.is_set())
            for standing, count in fleet.standings.items():
                runtime.metrics.deployment_ready.labels(state=standing.value).set(count)
            with suppress(TimeoutError):
                async with asyncio.timeout(_POLL_SECONDS):
                    await lost.wait()


async def _publish(runtime: Runtime, *, ready: bool) -> None:
    if ready != runtime.readiness.ready:
        await runtime.readiness.set(ready)


async def _is_live(triton: TritonClient) -> bool:
    try:
        return await triton.is_live(deadline=_CALL_SECONDS)
    except ServingError:
        return False
