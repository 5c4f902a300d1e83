"""What a reconciler does while Triton is down, and while its disk is full."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from grpc_health.v1 import health_pb2

from serving.client import TritonClient
from serving.embedded.server import EmbeddedTriton
from serving.errors import PackDamagedError, StorageFullError
from serving.model_config import DataType, TensorConfig
from serving.pace import Backoff
from serving.reconciler import status
from serving.reconciler.desired import Desired, Outcome
from serving.reconciler.fleet import Fleet
from serving.reconciler.keeper import Rhythm
from serving.reconciler.site import ServingProfile, Site
from serving.reconciler.switch import switch
from serving.repository import ModelRepository
from tests.helpers.packer import (
    LONG_SECONDS,
    FakePack,
    FakePacker,
    classifier_pack,
    digest_of,
    serving_packer,
)
from tests.helpers.reconciler import (
    World,
    beside,
    health_watch,
    reason_of,
    running_reconciler,
    until_health,
)
from tests.helpers.triton import (
    LABELS,
    RunningTriton,
    living_stubs,
    running_triton,
    samples,
    server_process,
)

PACK = classifier_pack(1)
GRAPH, SMOKE_TEST = digest_of(PACK.graph), digest_of(PACK.smoke_test)
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[RunningTriton]:
    """A Triton that the test may stop and start."""
    with running_triton(tmp_path) as running:
        yield running


async def test_a_deployment_while_triton_is_down_is_reported_and_made_good_later(
    running: RunningTriton,
) -> None:
    packer = FakePacker()  # type: ignore[abstract]  # What it lacks answers UNIMPLEMENTED.
    await asyncio.to_thread(running.call, running.triton.stop())
    async with (
        serving_packer(packer) as address,
        running_reconciler(address, grace_seconds=0.5, **beside(running.triton)) as lifecycle,
        health_watch(lifecycle) as watch,
    ):
        generation = await packer.deploy("digits", classifier_pack(1), version=1)
        report = await packer.report("digits", generation)
        assert (reason_of(report), report.version) == ("TRITON_UNAVAILABLE", 0)
        assert (await watch.read()).status == NOT_SERVING
        await asyncio.to_thread(running.call, running.triton.start())
        report = await packer.report("digits", generation, served=True)
        assert report.version == 1
        await until_health(watch, SERVING)
        async with TritonClient(running.triton.grpc_address) as client:
            assert (await client.infer("digits", {"x": samples()})).version == 1


async def test_the_replica_is_not_ready_while_triton_is_down(running: RunningTriton) -> None:
    packer = FakePacker()  # type: ignore[abstract]  # What it lacks answers UNIMPLEMENTED.
    async with (
        serving_packer(packer) as address,
        running_reconciler(address, **beside(running.triton)) as lifecycle,
        health_watch(lifecycle) as watch,
    ):
        await packer.deploy_and_wait("digits", classifier_pack(1), version=1)
        await until_health(watch, SERVING)
        await asyncio.to_thread(running.call, running.triton.stop())
        await until_health(watch, NOT_SERVING)
        await asyncio.to_thread(running.call, running.triton.start())
        await until_health(watch, SERVING)
        async with TritonClient(running.triton.grpc_address) as client:
            assert (await client.infer("digits", {"x": samples()})).version == 1


async def test_a_triton_that_is_away_for_a_moment_between_two_looks_is_noticed(
    running: RunningTriton, monkeypatch: pytest.MonkeyPatch
) -> None:
    packer = FakePacker()  # type: ignore[abstract]  # What it lacks answers UNIMPLEMENTED.
    monkeypatch.setattr(status, "_POLL_SECONDS", 1.5)
    async with (
        serving_packer(packer) as address,
        running_reconciler(address, **beside(running.triton)) as lifecycle,
        health_watch(lifecycle) as watch,
    ):
        await packer.deploy_and_wait("digits", classifier_pack(1), version=1)
        await until_health(watch, SERVING)
        os.kill(server_process(running.triton), signal.SIGKILL)
        await asyncio.to_thread(running.call, running.triton.stop())
        await asyncio.to_thread(running.call, running.triton.start())
        await until_health(watch, NOT_SERVING)
        await until_health(watch, SERVING)
        async with TritonClient(running.triton.grpc_address) as client:
            assert (await client.infer("digits", {"x": samples()})).version == 1


@dataclass(frozen=True)
class FullDisk:
    """A source of packs that meets a full disk in the middle of the second file."""

    pack: bytes

    async def fetch(self, digest: str, target: Path) -> None:
        if digest == SMOKE_TEST:
            raise OSError(errno.ENOSPC, "No space left on device")
        await asyncio.to_thread(target.write_bytes, self.pack)


@dataclass(frozen=True)
class SlowPacks:
    """A source of packs that waits until it is told to give one, or to give none."""

    pack: FakePack
    told: asyncio.Event

    async def fetch(self, digest: str, target: Path) -> None:
        await self.told.wait()
        content = {digest_of(each): each for each in (self.pack.graph, self.pack.smoke_test)}
        if digest not in content:
            raise PackDamagedError("the bytes are not the pack's", advice="Make the pack anew.")
        await asyncio.to_thread(target.write_bytes, content[digest])


async def test_a_deployment_is_pending_until_it_serves_or_has_failed(
    world: World, deployment: str
) -> None:
    told, outcomes, broken = asyncio.Event(), asyncio.Queue[Outcome](), f"{deployment}-broken"
    profile = ServingProfile(64, cores=1)
    site = Site(world.client, world.repository, SlowPacks(PACK, told), profile)
    fleet = Fleet(site, rhythm(2), outcomes.put_nowait)
    with world.repository.opened():
        running = asyncio.create_task(fleet.run())
        await asyncio.sleep(0)
        fleet.apply([desired(deployment, GRAPH), desired(broken, "sha256:gone")])
        await asyncio.sleep(0.05)
        assert counts(fleet) == {"pending": 2}
        told.set()
        async with asyncio.timeout(LONG_SECONDS):
            ends = [await outcomes.get() for _ in range(2)]
        assert {end.name: end.ready for end in ends} == {deployment: True, broken: False}
        assert counts(fleet) == {"ready": 1, "failed": 1}
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_dead_stub_is_healed_while_switches_wait_for_their_bytes(
    world: World, deployment: str
) -> None:
    told, outcomes = asyncio.Event(), asyncio.Queue[Outcome]()
    told.set()
    profile = ServingProfile(64, cores=1)
    site = Site(world.client, world.repository, SlowPacks(PACK, told), profile)
    fleet = Fleet(site, rhythm(1), outcomes.put_nowait)
    with world.repository.opened():
        running = asyncio.create_task(fleet.run())
        await asyncio.sleep(0)
        before = living_stubs(world.triton)
        served = desired(deployment, GRAPH)
        fleet.apply([served])
        async with asyncio.timeout(LONG_SECONDS):
            assert (await outcomes.get()).ready
        told.clear()
        fleet.apply([served, desired(f"{deployment}-waiting", GRAPH)])
        (stub,) = living_stubs(world.triton) - before
        os.kill(stub, signal.SIGKILL)
        await world.until_predicts(deployment, seed=1)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def rhythm(steps: int) -> Rhythm:
    """Quick probes, and so many switches and so many probes at a time."""
    switches, probes = asyncio.Semaphore(steps), asyncio.Semaphore(steps)
    return Rhythm(0.1, 0.0, Backoff(0.1, 0.1), switches, probes)


def counts(fleet: Fleet) -> dict[str, int]:
    return {standing.value: count for standing, count in fleet.standings.items() if count}


def desired(name: str, graph: str) -> Desired:
    return Desired(
        name=name,
        generation=1,
        pack="packs/p",
        version=1,
        graph=graph,
        smoke_test=SMOKE_TEST,
        labels=LABELS,
        inputs=(TensorConfig("x", DataType.FP32, (4,)),),
        previous_version=None,
    )


async def test_a_full_disk_is_said_so_and_keeps_nothing_half(
    triton: EmbeddedTriton, client: TritonClient, repository: ModelRepository, name: str
) -> None:
    profile = ServingProfile(64, cores=1)
    site = Site(client, repository, FullDisk(PACK.graph), profile)
    with pytest.raises(StorageFullError, match="No space left"):
        await switch(site, desired(name, GRAPH))
    assert name not in repository.names()
    assert triton.pid is not None
