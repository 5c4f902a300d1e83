"""Models run where their configuration asks, or what was served before goes on."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from serving.client import TritonClient
from serving.errors import ModelLoadError, PlacementError
from serving.model_config import (
    DataType,
    InstanceGroup,
    InstanceKind,
    SpecificVersions,
    TensorConfig,
    to_text,
)
from serving.reconciler.alive import keep_alive
from serving.reconciler.desired import Desired
from serving.reconciler.placement import check_placement
from serving.reconciler.site import ServingProfile, Site, loaded_versions
from serving.reconciler.switch import switch
from serving.repository import ModelRepository
from serving.version_folder import CONFIG_FILE
from tests.helpers.packer import FakePack, classifier_pack, digest_of
from tests.helpers.reconciler import World, beside, reason_of, running_reconciler
from tests.helpers.triton import LABELS, add_classifier, classifier_config

ON_GPU = InstanceGroup(InstanceKind.GPU)


@dataclass(frozen=True)
class Packs:
    """A source of one pack."""

    pack: FakePack

    async def fetch(self, digest: str, target: Path) -> None:
        content = {digest_of(each): each for each in (self.pack.graph, self.pack.smoke_test)}
        await asyncio.to_thread(target.write_bytes, content[digest])


def site_of(
    client: TritonClient, repository: ModelRepository, kind: InstanceKind, seed: int = 1
) -> Site:
    profile = ServingProfile(64, cores=1, kind=kind)
    return Site(client, repository, Packs(classifier_pack(seed)), profile)


def desired(name: str, seed: int, version: int) -> Desired:
    pack = classifier_pack(seed)
    return Desired(
        name=name,
        generation=version,
        pack="packs/p",
        version=version,
        graph=digest_of(pack.graph),
        smoke_test=digest_of(pack.smoke_test),
        labels=LABELS,
        inputs=(TensorConfig("x", DataType.FP32, (4,)),),
        previous_version=None,
    )


async def test_triton_says_where_a_model_runs(
    client: TritonClient, repository: ModelRepository, name: str
) -> None:
    add_classifier(repository, name, 1, seed=1)
    repository.activate(name, (1,))
    await client.load(name)
    assert [(each.kind, each.gpus) for each in await client.placements(name)] == [("KIND_CPU", ())]
    await check_placement(site_of(client, repository, InstanceKind.CPU), name)


async def test_a_model_that_runs_elsewhere_than_its_configuration_asks_is_found(
    client: TritonClient, repository: ModelRepository, name: str
) -> None:
    add_classifier(repository, name, 1, seed=1)
    repository.activate(name, (1,))
    await client.load(name)
    asked = replace(
        classifier_config(name), instance_group=ON_GPU, version_policy=SpecificVersions((1,))
    )
    (repository.models / name / CONFIG_FILE).write_text(to_text(asked))
    site = site_of(client, repository, InstanceKind.GPU)
    for look in (check_placement, keep_alive):
        with pytest.raises(PlacementError, match="on KIND_CPU with 0 GPUs, and KIND_GPU") as caught:
            await look(site, name)
        assert caught.value.metadata == {"asked": "KIND_GPU", "found": "KIND_CPU"}


async def test_without_the_gpu_that_was_asked_for_the_old_version_serves_on(
    client: TritonClient, repository: ModelRepository, name: str
) -> None:
    await switch(site_of(client, repository, InstanceKind.CPU), desired(name, 1, version=1))
    there = site_of(client, repository, InstanceKind.GPU, seed=2)
    with pytest.raises(ModelLoadError, match="no GPUs are available") as caught:
        await switch(there, desired(name, 2, version=2))
    assert "instance_kind to KIND_CPU" in caught.value.advice
    assert await loaded_versions(there, name) == {1}
    assert [each.kind for each in await client.placements(name)] == ["KIND_CPU"]


async def test_the_packer_is_told_that_a_replica_lacks_its_gpu(
    world: World, deployment: str
) -> None:
    settings = beside(world.triton) | {"instance_kind": InstanceKind.GPU}
    async with running_reconciler(world.packer_address, **settings):
        generation = await world.packer.deploy(deployment, classifier_pack(1), version=1)
        report = await world.packer.report(deployment, generation)
    assert (reason_of(report), report.version) == ("DEPLOYMENT_FAILED", 0)
    assert "instance_kind to KIND_CPU" in str(report.error)
