"""Switches whose packer dies or stops in the middle: each goes on, or is taken back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from google.longrunning import operations_pb2
from sliceandpack.packer.v1 import deployments_pb2 as pb

from svckit.clock import SystemClock
from svckit.database import open_database
from svckit.operations.backing import Backing
from svckit.operations.settings import OperationSettings
from svckit.operations.store import OperationStore
from svckit.telemetry import Metrics
from tests.helpers.deployments_client import DeploymentsClient
from tests.helpers.errors import reason_of
from tests.helpers.operations_client import OperationFailedError
from tests.helpers.processes import ServiceProcess
from tests.helpers.replica import Replica, silent

Interrupt = Callable[[ServiceProcess], object]


@asynccontextmanager
async def client_of(process: ServiceProcess) -> AsyncIterator[DeploymentsClient]:
    async with grpc.aio.insecure_channel(process.address) as channel:
        yield DeploymentsClient(channel)


async def interrupted(
    process: ServiceProcess, name: str, start: Callable[[DeploymentsClient], Awaitable[object]]
) -> pb.DesiredDeployment:
    """Has a replica serve packs/a, starts a switch to packs/b, and leaves it in the middle."""
    async with client_of(process) as client, Replica(client.channel) as replica:
        await client.create(name, "packs/a")
        replica.verdict = silent
        await start(client)
        return await replica.until_desired(name, "packs/b")


@pytest.mark.parametrize("interrupt", [ServiceProcess.kill, ServiceProcess.stop])
async def test_a_switch_goes_on_where_it_was(
    own_packer: ServiceProcess, interrupt: Interrupt, name: str
) -> None:
    operations: list[operations_pb2.Operation] = []

    async def start(client: DeploymentsClient) -> None:
        made = await client.get(name)
        wanted = pb.Deployment(name=made.name, pack="packs/b", display_name="B", etag=made.etag)
        operations.append(await client.begin_update(wanted, "pack", "display_name"))

    before = await interrupted(own_packer, name, start)
    await asyncio.to_thread(interrupt, own_packer)
    await asyncio.to_thread(own_packer.start)
    async with client_of(own_packer) as client, Replica(client.channel, verdict=silent) as replica:
        after = await replica.until_desired(name, "packs/b")
        await replica.report(after, version=after.version)
        switched = await client.result(operations[0])

    assert (after.version, after.generation) == (before.version, before.generation)
    assert (switched.pack, switched.previous_pack) == ("packs/b", "packs/a")
    assert switched.display_name == "B"


async def test_a_creation_that_a_crash_interrupts_is_done_once(
    own_packer: ServiceProcess, name: str
) -> None:
    async with client_of(own_packer) as client, Replica(client.channel):
        started = await client.begin_create(name, "packs/a")
    await asyncio.to_thread(own_packer.kill)
    await asyncio.to_thread(own_packer.start)
    async with client_of(own_packer) as client, Replica(client.channel):
        made = await client.result(started)

    assert (made.name, made.pack, made.version) == (f"deployments/{name}", "packs/a", 1)


async def test_a_switch_that_is_cancelled_while_no_packer_runs_is_taken_back(
    own_packer: ServiceProcess, name: str
) -> None:
    operations: list[operations_pb2.Operation] = []

    async def start(client: DeploymentsClient) -> None:
        operations.append(await client.begin_switch(name, "packs/b"))
        operations.append(await client.begin_create(f"{name}-new", "packs/b"))

    await interrupted(own_packer, name, start)
    await asyncio.to_thread(own_packer.kill)
    await cancel(own_packer.folder / "state", [operation.name for operation in operations])
    await asyncio.to_thread(own_packer.start)
    async with client_of(own_packer) as client, Replica(client.channel) as replica:
        await replica.until_desired(name, "packs/a")
        await replica.until(lambda: replica.desired(f"{name}-new") is None)
        after = await client.get(name)
        switched = await client.switch(name, "packs/c")
        names = await client.names()
        with pytest.raises(OperationFailedError) as failed:
            await client.result(operations[0])

    assert (after.pack, after.previous_pack) == ("packs/a", "")
    assert (switched.pack, switched.version) == ("packs/c", 3)
    assert f"deployments/{name}-new" not in names
    assert failed.value.reason == "CANCELLED"


async def cancel(state: Path, operations: Sequence[str]) -> None:
    """Cancels operations in the database of a packer that does not run."""
    database = open_database(f"sqlite+aiosqlite:///{state / 'service.db'}")
    try:
        store = OperationStore(Backing(database, SystemClock(), OperationSettings(), Metrics()))
        for name in operations:
            await store.cancel(name)
    finally:
        await database.close()


async def test_states_are_known_anew_after_a_restart(own_packer: ServiceProcess, name: str) -> None:
    async with client_of(own_packer) as client, Replica(client.channel):
        await client.create(name, "packs/a")
    await asyncio.to_thread(own_packer.kill)
    await asyncio.to_thread(own_packer.start)
    async with client_of(own_packer) as client:
        alone = await client.get(name)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await client.begin_create(name, "packs/a")

    assert alone.state == pb.DEPLOYMENT_STATE_DEGRADED
    assert [one.connected for one in alone.replicas] == [False]
    assert reason_of(refused.value) == "RESOURCE_EXISTS"
