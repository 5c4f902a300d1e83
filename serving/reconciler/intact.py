"""Loads versions whose files are what they should be, byte for byte, and no others."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from serving.errors import PackDamagedError, ServingError
from serving.reconciler.site import Site
from serving.reconciler.storage import said_of_the_disk

_log = structlog.stdlib.get_logger(__name__)


async def load_intact(site: Site, name: str, versions: Sequence[int]) -> None:
    """Makes Triton serve versions of a model, after a look at every byte of them.

    Triton reads files as they lie there, and again those that it has loaded but whose time has
    changed. What was altered is fetched again. A version that cannot be had again is left out; if
    it is the last one, nothing is loaded.

    Args:
        site: The Triton.
        name: The model.
        versions: The numbers to serve, the last is the one that clients get.

    Raises:
        PackDamagedError: The last version is not what it should be, and nobody has it any more.
        PackUnavailableError: The same, but the packer may give it later.
        ServingError: Triton could not load them.
    """
    *beside, last = versions
    await make_intact(site, name, last)
    kept = []
    for version in beside:
        try:
            await make_intact(site, name, version)
        except ServingError as error:
            _log.warning("version_left_out", model=name, version=version, error=error.message)
        else:
            kept.append(version)
    with said_of_the_disk():
        await asyncio.to_thread(site.repository.activate, name, (*kept, last))
    await site.triton.load(name)


async def make_intact(site: Site, name: str, version: int) -> None:
    """Fetches anew what was altered of a version; does nothing where all is as it should be.

    Args:
        site: The Triton.
        name: The model.
        version: A version that the repository has, or had.

    Raises:
        PackDamagedError: It cannot be told what the version should be, or the packer's own bytes
            are damaged.
        PackUnavailableError: The packer does not give them now.
        StorageFullError: The disk is full.
        RepositoryError: The files cannot be written.
    """
    repository = site.repository
    manifest = await asyncio.to_thread(repository.manifest, name, version)
    if manifest is None or not await asyncio.to_thread(repository.is_configured, name, version):
        raise PackDamagedError(
            f"{name!r} version {version} was altered in the model repository",
            advice="The reconciler fetches what is desired anew; restore the rest from the packer.",
            metadata={"version": str(version)},
        )
    for file, digest in await asyncio.to_thread(repository.altered, name, manifest):
        _log.warning("file_altered", model=name, version=version, file=file)
        target = repository.staging / f"{name}-{version}-{file}"
        with said_of_the_disk():
            await site.packs.fetch(digest, target)
            await asyncio.to_thread(repository.mend, name, version, file, target)
