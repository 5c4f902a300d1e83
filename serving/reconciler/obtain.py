"""Puts a desired version into the repository."""

from __future__ import annotations

import asyncio

import structlog

from serving.errors import PackDamagedError
from serving.model_config import DataType, ModelConfig, TensorConfig
from serving.reconciler.desired import Desired
from serving.reconciler.intact import make_intact
from serving.reconciler.site import ServingProfile, Site, retire
from serving.reconciler.smoke import read_smoke_test
from serving.reconciler.storage import said_of_the_disk
from serving.repository import ModelRepository
from serving.version_folder import LABELS_FILE, NewVersion, VersionManifest

OUTPUT = "probabilities"
NONE_OF_THESE = "none_of_these"
_log = structlog.stdlib.get_logger(__name__)


async def obtain(site: Site, desired: Desired) -> None:
    """Puts the version's folder into the repository, unless it is there; puts right what is not.

    Args:
        site: The Triton.
        desired: What to fetch.

    Raises:
        PackUnavailableError: The packer does not give it now.
        PackDamagedError: The bytes are not the ones that the digest names.
        SmokeTestError: Its smoke test cannot be read.
        StorageFullError: The disk is full.
        RepositoryError: The files cannot be written.
    """
    repository, name = site.repository, desired.name
    config = model_config(desired, site.profile)
    wanted = _manifest_of(desired)
    with said_of_the_disk():
        if await asyncio.to_thread(repository.manifest, name, desired.version) == wanted:
            # This replica may run its models in another way than when the version was added.
            await asyncio.to_thread(
                repository.describe, name, desired.version, config, desired.labels
            )
            await make_intact(site, name, desired.version)
            return
        # The same at every attempt, so that a broken transfer goes on where it broke.
        model = repository.staging / f"{name}-{desired.version}-model"
        smoke_test = repository.staging / f"{name}-{desired.version}-smoke-test"
        await site.packs.fetch(desired.graph, model)
        await site.packs.fetch(desired.smoke_test, smoke_test)
        await asyncio.to_thread(read_smoke_test, smoke_test)
        if await asyncio.to_thread(repository.has_folder, name, desired.version):
            # The number stands for other bytes here: the name was deleted and made again while
            # nobody watched, or the disk has lost something. They may not be served under it.
            _log.warning("model_replaced", model=name, version=desired.version)
            await retire(site, name)
        new = NewVersion(
            manifest=wanted,
            model=model,
            smoke_test=smoke_test,
            config=config,
            labels=desired.labels,
        )
        await asyncio.to_thread(repository.add, name, new)


def refuse_other(repository: ModelRepository, desired: Desired) -> None:
    """Refuses a version whose folder says that it is something else than what is desired.

    Raises:
        PackDamagedError: It does.
    """
    if repository.manifest(desired.name, desired.version) != _manifest_of(desired):
        raise PackDamagedError(
            f"{desired.name!r} version {desired.version} is not the desired pack any more",
            advice="The reconciler fetches it anew.",
            metadata={"version": str(desired.version)},
        )


def _manifest_of(desired: Desired) -> VersionManifest:
    return VersionManifest(desired.version, desired.pack, desired.graph, desired.smoke_test)


def model_config(desired: Desired, profile: ServingProfile) -> ModelConfig:
    """The configuration that a pack is served with.

    Args:
        desired: The pack.
        profile: How this replica runs models.
    """
    tuning = profile.tuning(desired.run_time)
    outputs = [TensorConfig(OUTPUT, DataType.FP32, (len(desired.labels),), LABELS_FILE)]
    if desired.none_of_these:
        outputs.append(TensorConfig(NONE_OF_THESE, DataType.FP32, (1,)))
    return ModelConfig(
        name=desired.name,
        max_batch_size=profile.max_batch_size,
        inputs=desired.inputs,
        outputs=tuple(outputs),
        instance_group=tuning.instances,
        dynamic_batching=tuning.batching,
        threads=tuning.threads,
    )
