"""A byte that was altered in a replica's model repository is never served."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from serving.client import TritonClient
from serving.errors import ServingError
from serving.model_config import DataType, TensorConfig
from serving.reconciler.desired import Desired
from serving.reconciler.site import ServingProfile, Site
from serving.reconciler.switch import switch
from serving.repository import ModelRepository
from serving.version_folder import NewVersion
from tests.helpers.packer import (
    LONG_SECONDS,
    FakePack,
    FakePacker,
    classifier_pack,
    digest_of,
)
from tests.helpers.reconciler import World, beside, reason_of, running_reconciler
from tests.helpers.triton import FEATURES, LABELS, answers, living_stubs, samples


def alter_weight(path: Path) -> None:
    """Alters one weight of a pack's file: a graph that loads, and answers wrongly."""
    proto = onnx.load(path)
    (weight,) = proto.graph.initializer
    values = numpy_helper.to_array(weight).copy()
    values[0, 0] += 3.0
    weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    path.write_bytes(proto.SerializeToString())


def model_file(world: World, name: str, version: int) -> Path:
    return world.repository.version_folder(name, version) / "model.onnx"


async def test_a_weight_altered_while_triton_is_away_is_not_loaded(
    reconciled: World, deployment: str
) -> None:
    await reconciled.packer.deploy_and_wait(deployment, classifier_pack(1), version=1)
    path = model_file(reconciled, deployment, 1)
    before = path.read_bytes()
    alter_weight(path)
    await reconciled.client.unload(deployment)
    await rightly(reconciled, deployment, {1})
    assert path.read_bytes() == before


async def test_a_weight_altered_while_a_dead_stub_is_healed_is_not_loaded(
    reconciled: World, deployment: str
) -> None:
    before = living_stubs(reconciled.triton)
    await reconciled.packer.deploy_and_wait(deployment, classifier_pack(1), version=1)
    (stub,) = living_stubs(reconciled.triton) - before
    alter_weight(model_file(reconciled, deployment, 1))
    os.kill(stub, signal.SIGKILL)
    await rightly(reconciled, deployment, {1})


class GnawedRepository(ModelRepository):
    """One on a disk that alters a weight as soon as a version is added."""

    def add(self, name: str, new: NewVersion) -> None:
        super().add(name, new)
        alter_weight(self.version_folder(name, new.manifest.version) / "model.onnx")


@dataclass(frozen=True)
class Packs:
    """A source of one pack."""

    pack: FakePack

    async def fetch(self, digest: str, target: Path) -> None:
        content = {digest_of(each): each for each in (self.pack.graph, self.pack.smoke_test)}
        await asyncio.to_thread(target.write_bytes, content[digest])


async def test_a_weight_altered_between_download_and_load_is_put_right_first(
    repository: ModelRepository, client: TritonClient, name: str
) -> None:
    pack = classifier_pack(1)
    gnawed = GnawedRepository(repository.models.parent)
    site = Site(client, gnawed, Packs(pack), ServingProfile(64, cores=1))
    desired = Desired(
        name=name,
        generation=1,
        pack="packs/p",
        version=1,
        graph=digest_of(pack.graph),
        smoke_test=digest_of(pack.smoke_test),
        labels=LABELS,
        inputs=(TensorConfig("x", DataType.FP32, (FEATURES,)),),
        previous_version=None,
    )
    assert all(case.parity.passed for case in await switch(site, desired))
    got = await client.infer(name, {"x": samples()})
    np.testing.assert_allclose(got.outputs["probabilities"], answers(1, samples()), atol=1e-5)


async def test_the_version_beside_is_put_right_before_a_switch_makes_triton_read_it_again(
    reconciled: World, deployment: str
) -> None:
    packer = reconciled.packer
    await packer.deploy_and_wait(deployment, classifier_pack(1), version=1)
    alter_weight(model_file(reconciled, deployment, 1))
    asked = asyncio.create_task(rightly(reconciled, deployment, {1, 2}, until=2))
    report = await packer.deploy_and_wait(deployment, classifier_pack(2), version=2, previous=1)
    await asked
    assert (report.version, report.HasField("error")) == (2, False)
    old = await reconciled.client.infer(deployment, {"x": samples()}, version=1)
    np.testing.assert_allclose(old.outputs["probabilities"], answers(1, samples()), atol=1e-5)


async def test_a_switch_that_is_taken_back_to_an_altered_pack_puts_it_right(
    reconciled: World, deployment: str
) -> None:
    packer = reconciled.packer
    await packer.deploy_and_wait(deployment, classifier_pack(1), version=1)
    alter_weight(model_file(reconciled, deployment, 1))
    wrong = classifier_pack(2, graph=classifier_pack(3).graph)
    report = await packer.deploy_and_wait(deployment, wrong, version=2, previous=1)
    assert (reason_of(report), report.version) == ("SMOKE_TEST_FAILED", 1)
    assert await reconciled.predicts(deployment, seed=1)


async def test_without_the_packer_an_altered_pack_stays_unloaded(
    world: World, deployment: str
) -> None:
    async with running_reconciler(world.packer_address, **beside(world.triton)):
        await world.packer.deploy_and_wait(deployment, classifier_pack(1), version=1)
    await world.client.unload(deployment)
    alter_weight(model_file(world, deployment, 1))
    async with running_reconciler("127.0.0.1:1", **beside(world.triton)):
        await asyncio.sleep(1.0)
        with pytest.raises(ServingError):
            await world.client.infer(deployment, {"x": samples()})
    async with running_reconciler(world.packer_address, **beside(world.triton)):
        await rightly(world, deployment, {1})


@pytest.mark.parametrize("file", ["model.onnx", "smoke_test.npz", "manifest.json"])
async def test_what_is_altered_together_with_its_manifest_is_not_the_desired_pack(
    reconciled: World, deployment: str, file: str
) -> None:
    """Even where the whole folder is another pack's, one that is right in itself."""
    packer = reconciled.packer
    await packer.deploy_and_wait(deployment, classifier_pack(1), version=1)
    other = f"{deployment}-other"
    await packer.deploy_and_wait(other, classifier_pack(2), version=1)
    for copied in {"manifest.json", file}:
        source = reconciled.repository.version_folder(other, 1) / copied
        target = reconciled.repository.version_folder(deployment, 1) / copied
        target.write_bytes(source.read_bytes())
    await reconciled.client.unload(deployment)
    await rightly(reconciled, deployment, {1})


async def test_a_pack_whose_stored_bytes_the_packer_finds_damaged_is_reported_so(
    reconciled: World, deployment: str
) -> None:
    packer: FakePacker = reconciled.packer
    await packer.deploy_and_wait(deployment, classifier_pack(1), version=1)
    alter_weight(model_file(reconciled, deployment, 1))
    packer.damaged = True
    await reconciled.client.unload(deployment)
    report = await packer.report(deployment, 1)
    assert (reason_of(report), report.version) == ("DIGEST_MISMATCH", 0)
    with pytest.raises(ServingError):
        await reconciled.client.infer(deployment, {"x": samples()})
    packer.damaged = False
    await rightly(reconciled, deployment, {1})


async def rightly(world: World, name: str, seeds: set[int], until: int | None = None) -> None:
    """Waits for an answer (of one seed); each that comes must be one of the seeds' packs'."""
    x = samples(3, seed=99)
    right = {seed: answers(seed, x) for seed in seeds}
    async with asyncio.timeout(LONG_SECONDS):
        while True:
            try:
                got = (await world.client.infer(name, {"x": x})).outputs["probabilities"]
            except ServingError:
                await asyncio.sleep(0.02)
                continue
            found = [seed for seed, each in right.items() if np.allclose(got, each, atol=1e-5)]
            assert found, "an altered pack answered"
            if until in (None, found[0]):
                return
