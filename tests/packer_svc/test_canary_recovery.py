"""Canaries whose packer dies in the middle: each start and promotion goes on, or is taken back."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing

import grpc
import pytest
from google.longrunning import operations_pb2

from tests.helpers.deployments_client import DeploymentsClient
from tests.helpers.operations_client import OperationFailedError
from tests.helpers.processes import ServiceProcess
from tests.helpers.replica import Replica, serves, silent


@asynccontextmanager
async def client_of(process: ServiceProcess) -> AsyncIterator[DeploymentsClient]:
    async with grpc.aio.insecure_channel(process.address) as channel:
        yield DeploymentsClient(channel)


async def restarted(process: ServiceProcess) -> None:
    await asyncio.to_thread(process.kill)
    await asyncio.to_thread(process.start)


async def test_a_canary_that_was_being_loaded_is_loaded_on(
    own_packer: ServiceProcess, name: str
) -> None:
    async with client_of(own_packer) as client, Replica(client.channel) as replica:
        await client.create(name, "packs/a")
        replica.verdict = silent
        started = await client.begin_canary(name, "packs/b", 0.25)
        before = await replica.until_desired(f"{name}--canary", "packs/b")
    await restarted(own_packer)
    async with client_of(own_packer) as client, Replica(client.channel) as replica:
        after = await replica.until_desired(f"{name}--canary", "packs/b")
        found = await client.result(started)

    assert (after.version, after.generation) == (before.version, before.generation)
    assert (found.pack, found.canary.pack, found.canary.share) == ("packs/a", "packs/b", 0.25)


async def test_a_promotion_goes_on_and_ends_the_canary_once(
    own_packer: ServiceProcess, name: str
) -> None:
    async with client_of(own_packer) as client, Replica(client.channel) as replica:
        await client.create(name, "packs/a")
        await client.start_canary(name, "packs/b", 0.25)
        replica.verdict = silent
        started = await client.begin_promotion(name)
        before = await replica.until_desired(name, "packs/b")
    await restarted(own_packer)
    async with client_of(own_packer) as client, Replica(client.channel, verdict=silent) as replica:
        meanwhile = await client.get(name)
        replica.verdict = serves
        after = await replica.until_desired(name, "packs/b")
        await replica.report(after, version=after.version)
        promoted = await client.result(started)
        await replica.until(lambda: replica.desired(f"{name}--canary") is None)

    assert (after.version, after.generation) == (before.version, before.generation)
    assert (meanwhile.pack, meanwhile.canary.pack) == ("packs/a", "packs/b")
    assert (promoted.pack, promoted.version, promoted.previous_pack) == ("packs/b", 2, "packs/a")
    assert not promoted.HasField("canary")


async def test_a_promotion_that_is_cancelled_is_taken_back_and_the_canary_stays(
    own_packer: ServiceProcess, name: str
) -> None:
    async with client_of(own_packer) as client, Replica(client.channel) as replica:
        await client.create(name, "packs/a")
        await client.start_canary(name, "packs/b", 0.25)
        replica.verdict = silent
        started = await client.begin_promotion(name)
        await replica.until_desired(name, "packs/b")
    await restarted(own_packer)
    async with client_of(own_packer) as client, Replica(client.channel, verdict=silent) as replica:
        await client.cancel(started)
        with pytest.raises(OperationFailedError) as failed:
            await client.result(started)
        await replica.until_desired(name, "packs/a")
        after = await client.get(name)
        replica.verdict = serves

    assert failed.value.reason == "CANCELLED"
    assert (after.pack, after.canary.pack) == ("packs/a", "packs/b")


async def test_a_canary_and_its_figures_outlive_the_packer(
    own_packer: ServiceProcess, name: str
) -> None:
    async with client_of(own_packer) as client, Replica(client.channel):
        await client.create(name, "packs/a")
        before = await client.start_canary(name, "packs/b", 0.25)
    await restarted(own_packer)
    async with client_of(own_packer) as client:
        alone = await client.get(name)
        async with Replica(client.channel):
            ended = await client.end_canary(name)

    assert (alone.canary.pack, alone.canary.version) == ("packs/b", before.canary.version)
    assert not alone.canary.replicas[0].connected
    assert not ended.HasField("canary")


def forget_end(process: ServiceProcess, operation: operations_pb2.Operation, scratch: str) -> None:
    """Leaves behind what a crash does right before the end of an operation is written down."""
    with closing(sqlite3.connect(process.folder / "state" / "service.db")) as database, database:
        changed = database.execute(
            "UPDATE operations SET state = 'QUEUED', end_time = NULL, response = NULL, scratch = ? "
            "WHERE id = ?",
            (scratch, operation.name.removeprefix("operations/")),
        )
    assert changed.rowcount == 1


async def test_what_was_done_before_the_crash_is_not_done_again(
    own_packer: ServiceProcess, name: str
) -> None:
    async with client_of(own_packer) as client, Replica(client.channel):
        await client.create(name, "packs/a")
        started = await client.begin_canary(name, "packs/b", 0.25)
        await client.result(started)
    await asyncio.to_thread(own_packer.kill)
    forget_end(own_packer, started, "{}")
    await asyncio.to_thread(own_packer.start)
    async with client_of(own_packer) as client, Replica(client.channel) as replica:
        again = await client.result(started)
        promoting = await client.begin_promotion(name)
        await client.result(promoting)
        await replica.until(lambda: replica.desired(f"{name}--canary") is None)
        revision = replica.states[-1].revision
    await asyncio.to_thread(own_packer.kill)
    forget_end(own_packer, promoting, '{"pack": "b"}')
    await asyncio.to_thread(own_packer.start)
    async with client_of(own_packer) as client, Replica(client.channel) as replica:
        promoted = await client.result(promoting)
        after = replica.states[-1].revision

    assert (again.canary.pack, again.canary.version) == ("packs/b", 1)
    assert (promoted.pack, promoted.version) == ("packs/b", 2)
    assert not promoted.HasField("canary")
    assert after == revision
