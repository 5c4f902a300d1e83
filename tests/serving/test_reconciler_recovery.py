"""Restarts, losses and dead processes: what the reconciler makes good by itself."""

from __future__ import annotations

import asyncio
import os
import signal

import numpy as np
import pytest
from grpc_health.v1 import health_pb2

from serving.errors import ServingError
from tests.helpers.packer import LONG_SECONDS, classifier_pack
from tests.helpers.reconciler import (
    World,
    beside,
    health_watch,
    running_reconciler,
    until_health,
)
from tests.helpers.triton import answers, living_stubs, samples


async def test_a_number_that_stands_for_other_bytes_is_replaced(
    world: World, deployment: str
) -> None:
    async with running_reconciler(world.packer_address, **beside(world.triton)):
        await world.packer.deploy_and_wait(deployment, classifier_pack(1), version=1)
    await world.packer.withdraw(deployment)
    generation = await world.packer.deploy(deployment, classifier_pack(2), version=1)
    async with running_reconciler(world.packer_address, **beside(world.triton)):
        report = await world.packer.report(deployment, generation)
        assert not report.HasField("error")
        assert await world.predicts(deployment, seed=2)


async def test_a_killed_stub_is_healed_while_clients_call(
    reconciled: World, deployment: str
) -> None:
    packer = reconciled.packer
    before = living_stubs(reconciled.triton)
    await packer.deploy_and_wait(deployment, classifier_pack(1), version=1)
    (stub,) = living_stubs(reconciled.triton) - before
    os.kill(stub, signal.SIGKILL)
    await reconciled.until_predicts(deployment, seed=1)
    assert stub not in living_stubs(reconciled.triton)


async def test_the_stub_of_the_version_kept_beside_is_healed_too(
    reconciled: World, deployment: str
) -> None:
    packer = reconciled.packer
    before = living_stubs(reconciled.triton)
    await packer.deploy_and_wait(deployment, classifier_pack(1), version=1)
    (stub,) = living_stubs(reconciled.triton) - before
    await packer.deploy_and_wait(deployment, classifier_pack(2), version=2, previous=1)
    os.kill(stub, signal.SIGKILL)
    async with asyncio.timeout(LONG_SECONDS):
        while True:
            # Whoever names no version is served by the other one all the time.
            assert await reconciled.predicts(deployment, seed=2)
            try:
                answer = await reconciled.client.infer(deployment, {"x": samples()}, version=1)
                break
            except ServingError:
                await asyncio.sleep(0.05)
    np.testing.assert_allclose(answer.outputs["probabilities"], answers(1, samples()), atol=1e-5)


async def test_a_restarted_reconciler_adopts_what_is_served_without_loading_it_again(
    world: World, deployment: str
) -> None:
    foreign = living_stubs(world.triton)
    async with running_reconciler(world.packer_address, **beside(world.triton)):
        generation = await world.packer.deploy(deployment, classifier_pack(1), version=1)
        await world.packer.report(deployment, generation)
    stubs = living_stubs(world.triton) - foreign
    async with running_reconciler(world.packer_address, **beside(world.triton)):
        report = await world.packer.report(deployment, generation)
        assert (report.version, report.HasField("error")) == (1, False)
    assert living_stubs(world.triton) - foreign == stubs


async def test_what_the_repository_has_is_served_before_the_packer_is_reached(
    world: World, deployment: str
) -> None:
    async with running_reconciler(world.packer_address, **beside(world.triton)):
        await world.packer.deploy_and_wait(deployment, classifier_pack(1), version=1)
    await world.client.unload(deployment)
    async with running_reconciler("127.0.0.1:1", **beside(world.triton)) as lifecycle:
        await world.until_predicts(deployment, seed=1)
        async with health_watch(lifecycle) as watch:
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.mark.parametrize("file", ["1/model.onnx", "1/manifest.json", "config.pbtxt"])
async def test_a_file_that_rotted_is_made_good(world: World, deployment: str, file: str) -> None:
    async with running_reconciler(world.packer_address, **beside(world.triton)):
        generation = await world.packer.deploy(deployment, classifier_pack(1), version=1)
        await world.packer.report(deployment, generation)
    await world.client.unload(deployment)
    (world.repository.models / deployment / file).write_bytes(b"rotten")
    async with running_reconciler(world.packer_address, **beside(world.triton)):
        report = await world.packer.report(deployment, generation)
        assert (report.version, report.HasField("error")) == (1, False)
        assert await world.predicts(deployment, seed=1)


async def test_a_reconciler_with_other_settings_serves_old_versions_in_the_new_way(
    world: World, deployment: str
) -> None:
    foreign = living_stubs(world.triton)
    async with running_reconciler(world.packer_address, **beside(world.triton)):
        generation = await world.packer.deploy(deployment, classifier_pack(1), version=1)
        await world.packer.report(deployment, generation)
        assert len(living_stubs(world.triton) - foreign) == 1
    async with running_reconciler(world.packer_address, instances=3, **beside(world.triton)):
        await world.packer.report(deployment, generation)
        async with asyncio.timeout(LONG_SECONDS):
            while len(living_stubs(world.triton) - foreign) != 3:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert await world.predicts(deployment, seed=1)


async def test_one_dead_instance_of_two_is_healed(world: World, deployment: str) -> None:
    before = living_stubs(world.triton)
    async with running_reconciler(world.packer_address, instances=2, **beside(world.triton)):
        generation = await world.packer.deploy(deployment, classifier_pack(1), version=1)
        await world.packer.report(deployment, generation)
        stubs = living_stubs(world.triton) - before
        assert len(stubs) == 2
        os.kill(min(stubs), signal.SIGKILL)
        async with asyncio.timeout(LONG_SECONDS):
            while len(living_stubs(world.triton) - before - stubs) != 2:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        await world.until_predicts(deployment, seed=1)


async def test_a_lost_repository_is_built_again_from_the_packer(
    world: World, deployment: str
) -> None:
    async with running_reconciler(world.packer_address, **beside(world.triton)):
        generation = await world.packer.deploy(deployment, classifier_pack(1), version=4)
        await world.packer.report(deployment, generation)
    await world.client.unload(deployment)
    with world.repository.opened():
        world.repository.remove(deployment)
    async with running_reconciler(world.packer_address, **beside(world.triton)):
        assert (await world.packer.report(deployment, generation)).version == 4
        assert await world.predicts(deployment, seed=1)


async def test_a_packer_that_comes_back_is_told_everything_again(
    world: World, deployment: str
) -> None:
    async with running_reconciler(world.packer_address, **beside(world.triton)):
        generation = await world.packer.deploy(deployment, classifier_pack(1), version=1)
        await world.packer.report(deployment, generation)
        await world.packer.hang_up()
        assert (await world.packer.report(deployment, generation)).version == 1
        generation = await world.packer.deploy(deployment, classifier_pack(2), version=2)
        assert (await world.packer.report(deployment, generation)).version == 2


async def test_the_replica_is_ready_only_when_what_is_desired_has_a_result(
    world: World, deployment: str
) -> None:
    await world.packer.deploy(f"{deployment}-bad", classifier_pack(1, graph=b"no graph"), version=1)
    await world.packer.deploy(deployment, classifier_pack(1), version=1)
    world.packer.giving.clear()
    async with (
        running_reconciler(world.packer_address, **beside(world.triton)) as lifecycle,
        health_watch(lifecycle) as watch,
    ):
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        world.packer.giving.set()
        await until_health(watch, health_pb2.HealthCheckResponse.SERVING)
        assert await world.predicts(deployment, seed=1)
