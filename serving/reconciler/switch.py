"""Makes Triton serve one deployment: switch to a version, take a switch back, keep it alive.

A switch loads the new version beside the old one, so that at every moment one of them answers; the
old one is let go, its calls finished, once the new one has given the stored answers.
"""

from __future__ import annotations

import asyncio
import errno
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import structlog

from serving.client import TritonClient
from serving.errors import (
    ModelLoadError,
    RepositoryError,
    ServingError,
    StorageFullError,
    StubDiedError,
)
from serving.model_config import (
    DataType,
    DynamicBatching,
    InstanceGroup,
    ModelConfig,
    TensorConfig,
    Threads,
)
from serving.reconciler.desired import ArtifactReference, Desired
from serving.reconciler.smoke import SmokeTest, read_smoke_test, run_smoke_test
from serving.repository import (
    LABELS_FILE,
    SMOKE_TEST_FILE,
    ModelRepository,
    NewVersion,
    VersionManifest,
)

OUTPUT = "probabilities"
_log = structlog.get_logger(__name__)


class PackSource(Protocol):
    """Where packs come from."""

    async def fetch(self, reference: ArtifactReference, target: Path) -> None:
        """Writes an artifact's bytes to a file, verified by digest.

        Raises:
            PackUnavailableError: It cannot be read now.
            PackDamagedError: The bytes are others than the digest says.
        """


@dataclass(frozen=True)
class ServingProfile:
    """How every model of this replica is run.

    Attributes:
        max_batch_size: Largest batch of one execution, at least 1; a larger request is refused.
        instance_group: Copies of each model, and where.
        threads: ONNX Runtime's threads per instance.
    """

    max_batch_size: int
    instance_group: InstanceGroup
    threads: Threads


@dataclass(frozen=True)
class Site:
    """One Triton, and what is needed to change what it serves."""

    triton: TritonClient
    repository: ModelRepository
    packs: PackSource
    profile: ServingProfile


async def switch(site: Site, desired: Desired) -> float:
    """Makes Triton serve the desired version, or what it served before.

    Does nothing that is done already, so it can be repeated at any point.

    Args:
        site: The Triton.
        desired: What to serve.

    Returns:
        The largest absolute difference of the smoke test.

    Raises:
        ServingError: The desired version does not serve. A transient error left things as far as
            they came; after any other the switch was taken back.
    """
    name, version = desired.name, desired.version
    await _obtain(site, desired)
    before = site.repository.active(name)
    try:
        if version not in before or version not in await loaded_versions(site, name):
            await _load_beside(site, desired, before)
        difference = await _check(site, name, version, samples=None)
    except ServingError as error:
        if not error.transient:
            await _take_back(site, desired, before)
        raise
    await _settle(site, desired)
    return difference


async def keep_alive(site: Site, name: str) -> None:
    """Sees to it that what should be loaded is, and answers a real request rightly.

    Triton calls a model ready whose process was killed, and never starts it again; only a request
    finds out, and only unload and load heals.

    Args:
        site: The Triton.
        name: The model.

    Raises:
        ServingError: A version does not answer as it should, after it was loaded anew.
    """
    active = site.repository.active(name)
    if not set(active) <= await loaded_versions(site, name):
        _log.info("model_loaded_again", model=name, versions=active)
        await site.triton.load(name)
    for version in active:
        # Triton hands requests to its instances in turn, and each of them can be the dead one.
        for _ in range(site.profile.instance_group.count):
            await _check(site, name, version, samples=1)


async def retire(site: Site, name: str) -> None:
    """Stops serving a name and forgets its versions.

    Args:
        site: The Triton.
        name: The model.

    Raises:
        ServingError: Triton could not be told.
    """
    await site.triton.unload(name)
    await asyncio.to_thread(site.repository.remove, name)


async def loaded_versions(site: Site, name: str) -> set[int]:
    """The versions of a model that Triton calls ready.

    Args:
        site: The Triton.
        name: The model.

    Raises:
        ServingError: Triton does not answer.
    """
    index = await site.triton.index()
    return {entry.version for entry in index if entry.name == name and entry.ready}


async def serving_version(site: Site, name: str) -> int | None:
    """The version that clients of a name get, None for none, or where Triton does not answer.

    Args:
        site: The Triton.
        name: The model.
    """
    try:
        loaded = await loaded_versions(site, name)
    except ServingError:
        return None
    return max(loaded, default=None)


async def _obtain(site: Site, desired: Desired) -> None:
    """Puts the version's folder into the repository, unless it is there."""
    repository, name = site.repository, desired.name
    manifest = await asyncio.to_thread(repository.manifest, name, desired.version)
    if manifest is not None and manifest.digest == desired.graph.digest:
        return
    # The same at every attempt, so that a broken transfer goes on where it broke.
    model = repository.staging / f"{name}-{desired.version}-model"
    smoke_test = repository.staging / f"{name}-{desired.version}-smoke-test"
    try:
        await site.packs.fetch(desired.graph, model)
        await site.packs.fetch(desired.smoke_test, smoke_test)
        await asyncio.to_thread(read_smoke_test, smoke_test)
        if manifest is not None:
            # The number stands for other bytes here: the name was deleted and made again while
            # nobody watched. Nothing of the old one may be served under it.
            _log.warning("model_replaced", model=name, version=desired.version)
            await retire(site, name)
        new = NewVersion(
            manifest=VersionManifest(desired.version, desired.pack, desired.graph.digest),
            model=model,
            smoke_test=smoke_test,
            config=model_config(desired, site.profile),
            labels=desired.labels,
        )
        await asyncio.to_thread(repository.add, name, new)
    except OSError as error:
        kind = StorageFullError if error.errno in (errno.ENOSPC, errno.EDQUOT) else RepositoryError
        raise kind(
            f"the pack cannot be written to the model repository: {error.strerror}",
            advice="Free some space on its disk, or look at its permissions.",
        ) from error


def model_config(desired: Desired, profile: ServingProfile) -> ModelConfig:
    """The configuration that a pack is served with.

    Args:
        desired: The pack.
        profile: How this replica runs models.
    """
    return ModelConfig(
        name=desired.name,
        max_batch_size=profile.max_batch_size,
        inputs=desired.inputs,
        outputs=(TensorConfig(OUTPUT, DataType.FP32, (len(desired.labels),), LABELS_FILE),),
        instance_group=profile.instance_group,
        # No delay: a lone client would pay for it, while requests that queue up behind a busy
        # instance are batched all the same.
        dynamic_batching=DynamicBatching(max_queue_delay_microseconds=0),
        threads=profile.threads,
    )


async def _load_beside(site: Site, desired: Desired, before: tuple[int, ...]) -> None:
    """Loads the version, beside the last one that served if both can be served together."""
    name, version = desired.name, desired.version
    signature = site.repository.signature(name, version)
    companions = tuple(
        other
        for other in before
        if other != version and site.repository.signature(name, other) == signature
    )[-1:]
    await asyncio.to_thread(site.repository.activate, name, (*companions, version))
    try:
        await site.triton.load(name)
    except ModelLoadError:
        if set(companions) <= await loaded_versions(site, name):
            raise
        # On a fresh Triton both are new, and the old one may be the one that cannot be loaded.
        await asyncio.to_thread(site.repository.activate, name, (version,))
        await site.triton.load(name)


async def _check(site: Site, name: str, version: int, *, samples: int | None) -> float:
    """Runs the version's smoke test, all of it or its first samples; heals a dead process once."""
    folder = site.repository.version_folder(name, version)
    test = await asyncio.to_thread(read_smoke_test, folder / SMOKE_TEST_FILE)
    test = test.part(0, samples) if samples else test
    try:
        return await _run(site, name, version, test)
    except StubDiedError as error:
        _log.warning("model_healed", model=name, version=version, error=error.message)
        await site.triton.unload(name)
        await site.triton.load(name)
        return await _run(site, name, version, test)


async def _run(site: Site, name: str, version: int, test: SmokeTest) -> float:
    batch = site.profile.max_batch_size
    return await run_smoke_test(site.triton, name, version, test, batch=batch)


async def _take_back(site: Site, desired: Desired, before: tuple[int, ...]) -> None:
    """Serves what was served before, and forgets the version that failed."""
    name = desired.name
    fallback = tuple(version for version in before if version != desired.version)
    try:
        if fallback:
            await asyncio.to_thread(site.repository.activate, name, fallback)
            await site.triton.load(name)
            await asyncio.to_thread(site.repository.remove_version, name, desired.version)
        else:
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
        await asyncio.to_thread(site.repository.activate, name, final)
        await site.triton.load(name)
    await asyncio.to_thread(site.repository.prune, name)
