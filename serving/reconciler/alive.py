"""Asks what is served a real request, and loads anew what does not answer."""

from __future__ import annotations

import asyncio

import structlog

from serving.errors import StubDiedError
from serving.reconciler.desired import Desired
from serving.reconciler.intact import load_intact
from serving.reconciler.obtain import refuse_other
from serving.reconciler.parity import LiveParity
from serving.reconciler.placement import check_placement
from serving.reconciler.site import Site, loaded_versions
from serving.reconciler.smoke import SmokeTest, read_smoke_test, run_smoke_test
from serving.version_folder import SMOKE_TEST_FILE

_log = structlog.stdlib.get_logger(__name__)


async def keep_alive(site: Site, name: str, desired: Desired | None = None) -> None:
    """Sees to it that what should be loaded is, and answers a real request rightly.

    Triton calls a model ready whose process was killed, and never starts it again; only a request
    finds out, and only unload and load heals.

    Args:
        site: The Triton.
        name: The model.
        desired: What the packer desires under the name, where it is known: the repository must say
            the same of that version before it is loaded.

    Raises:
        PackDamagedError: What should be loaded was altered, and cannot be had again.
        PlacementError: It runs elsewhere than it was configured to.
        ServingError: A version does not answer as it should, after it was loaded anew.
    """
    active = site.repository.active(name)
    again = not set(active) <= await loaded_versions(site, name)
    if again:
        _log.info("model_loaded_again", model=name, versions=active)
        if desired is not None and desired.version in active:
            await asyncio.to_thread(refuse_other, site.repository, desired)
        await load_intact(site, name, active)
        active = site.repository.active(name)
    if active:
        await check_placement(site, name)
    for version in active:
        # Triton hands requests to its instances in turn, and each of them can be the dead one.
        for _ in range(site.repository.instances(name)):
            await check(site, name, version, probe=not again)


async def check(site: Site, name: str, version: int, *, probe: bool) -> tuple[LiveParity, ...]:
    """Runs a version's smoke test; loads it anew, once, if its process died.

    Args:
        site: The Triton.
        name: The model.
        version: A version that Triton calls ready.
        probe: Whether the first sample is enough.

    Returns:
        How the answers compare with the stored ones.

    Raises:
        SmokeTestError: The answers are not the stored ones.
        ServingError: There is no answer.
    """
    path = site.repository.version_folder(name, version) / SMOKE_TEST_FILE
    test = await asyncio.to_thread(site.probes.read if probe else read_smoke_test, path)
    try:
        return await _run(site, name, version, test)
    except StubDiedError as error:
        _log.warning("model_healed", model=name, version=version, error=error.message)
        await _load_anew(site, name, version)
        return await _run(site, name, version, test)


async def _load_anew(site: Site, name: str, version: int) -> None:
    """Makes Triton let go of a version whose process died, and load it again.

    A version beside it is not touched, and answers in the meantime.
    """
    active = site.repository.active(name)
    others = tuple(other for other in active if other != version)
    if not others:
        await site.triton.unload(name)
    else:
        try:
            await load_intact(site, name, others)
        finally:
            # Whatever happens, the repository says what should be served.
            await asyncio.to_thread(site.repository.activate, name, active)
    await load_intact(site, name, active)


async def _run(site: Site, name: str, version: int, test: SmokeTest) -> tuple[LiveParity, ...]:
    batch = site.profile.max_batch_size
    return await run_smoke_test(site.triton, name, version, test, batch=batch)
