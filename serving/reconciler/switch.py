"""Switches a deployment to a version, or takes the switch back.

A switch loads the new version beside the old one, so that at every moment one of them answers; the
old one is let go, its calls finished, once the new one has given the stored answers.
"""

from __future__ import annotations

import asyncio

import structlog

from serving.errors import ModelLoadError, PackDamagedError, ServingError
from serving.reconciler.alive import check
from serving.reconciler.desired import Desired
from serving.reconciler.intact import load_intact
from serving.reconciler.obtain import obtain
from serving.reconciler.parity import LiveParity
from serving.reconciler.placement import check_placement
from serving.reconciler.site import Site, loaded_versions, retire

_log = structlog.stdlib.get_logger(__name__)


async def switch(site: Site, desired: Desired) -> tuple[LiveParity, ...]:
    """Makes Triton serve the desired version, or what it served before.

    Does nothing that is done already, so it can be repeated at any point.

    Args:
        site: The Triton.
        desired: What to serve.

    Returns:
        How the live answers compare with the proof's.

    Raises:
        ServingError: The desired version does not serve. A transient error left things as far as
            they came; after any other the switch was taken back.
    """
    name, version = desired.name, desired.version
    await obtain(site, desired)
    before = site.repository.active(name)
    try:
        configured = await asyncio.to_thread(site.repository.is_active_as_configured, name, version)
        if not configured or version not in await loaded_versions(site, name):
            await _load_beside(site, desired, before)
        await check_placement(site, name)
        parity = await check(site, name, version, probe=False)
    except ServingError as error:
        if not error.transient:
            await _take_back(site, desired, before)
        raise
    await _settle(site, desired)
    return parity


async def _load_beside(site: Site, desired: Desired, before: tuple[int, ...]) -> None:
    """Loads the version, beside the last one that served if both can be served together."""
    name, version = desired.name, desired.version
    repository = site.repository
    signature = repository.signature(name, version)
    companions = tuple(
        other
        for other in before
        if other != version
        and repository.is_configured(name, other)
        and repository.signature(name, other) == signature
    )[-1:]
    try:
        await load_intact(site, name, (*companions, version))
    except ModelLoadError:
        if set(companions) <= await loaded_versions(site, name):
            raise
        # On a fresh Triton both are new, and the old one may be the one that cannot be loaded.
        await load_intact(site, name, (version,))


async def _take_back(site: Site, desired: Desired, before: tuple[int, ...]) -> None:
    """Serves what was served before, and forgets the version that failed."""
    name = desired.name
    fallback = tuple(version for version in before if version != desired.version)
    try:
        if fallback:
            await load_intact(site, name, fallback)
            await asyncio.to_thread(site.repository.remove_version, name, desired.version)
        else:
            await retire(site, name)
    except PackDamagedError as error:
        # Neither of them may be served.
        _log.warning("fallback_damaged", model=name, error=error.message)
        await retire(site, name)
    except ServingError as error:
        # The repository says what to serve, so the next look after the model brings it about; the
        # error to report is the one that made the switch fail.
        _log.warning("take_back_delayed", model=name, error=error.message)
    _log.warning("switch_taken_back", model=name, version=desired.version, serving=fallback)


async def _settle(site: Site, desired: Desired) -> None:
    """Lets go of all but the version and the one that is to stay beside it."""
    name, version, previous = desired.name, desired.version, desired.previous_version
    active = site.repository.active(name)
    # Triton gives the highest number to whoever names no version, so only a lower one may stay.
    beside = previous is not None and previous < version and previous in active
    final = (previous, version) if beside and previous is not None else (version,)
    if active != final:
        await load_intact(site, name, final)
    await asyncio.to_thread(site.repository.prune, name)
