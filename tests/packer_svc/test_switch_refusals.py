"""Switches that are refused, and changes that are no switches."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from sliceandpack.packer.v1 import deployments_pb2 as pb
from sliceandpack.packer.v1 import packs_pb2, packs_pb2_grpc

from tests.helpers.deployments_client import DeploymentsClient
from tests.helpers.errors import error_info_of, reason_of
from tests.helpers.operations_client import OperationFailedError
from tests.helpers.replica import Replica, fails_on, silent_on


async def test_a_second_switch_and_a_deletion_are_refused_while_one_is_under_way(
    client: DeploymentsClient, name: str
) -> None:
    async with Replica(client.channel, verdict=silent_on("packs/b")) as replica:
        await client.create(name, "packs/a")
        started = await client.begin_switch(name, "packs/b")
        desired = await replica.until_desired(name, "packs/b")
        with pytest.raises(grpc.aio.AioRpcError) as second:
            await client.begin_switch(name, "packs/c")
        with pytest.raises(grpc.aio.AioRpcError) as deletion:
            await client.delete(name)
        await replica.report(desired, version=desired.version)
        await client.result(started)

    assert reason_of(second.value) == reason_of(deletion.value) == "SWITCH_IN_PROGRESS"
    assert error_info_of(second.value).metadata["operation"] == started.name


async def test_of_two_switches_sent_at_once_one_wins(client: DeploymentsClient, name: str) -> None:
    async def switch(pack: str) -> str:
        try:
            return (await client.switch(name, pack)).pack
        except OperationFailedError as error:
            return error.reason
        except grpc.aio.AioRpcError as error:
            return reason_of(error)

    async with Replica(client.channel):
        await client.create(name, "packs/a")
        ends = await asyncio.gather(switch("packs/b"), switch("packs/c"))
        after = await client.get(name)

    # The second one is refused, or comes after the first one's end.
    assert set(ends) <= {"packs/b", "packs/c", "SWITCH_IN_PROGRESS"}
    assert after.pack in ends
    assert after.state == pb.DEPLOYMENT_STATE_SERVING


async def test_a_switch_with_a_stale_etag_is_refused(client: DeploymentsClient, name: str) -> None:
    async with Replica(client.channel):
        made = await client.create(name, "packs/a")
        await client.switch(name, "packs/b")
        stale = pb.Deployment(name=made.name, pack="packs/c", etag=made.etag)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await client.begin_update(stale, "pack")

    assert reason_of(refused.value) == "ETAG_MISMATCH"


async def test_of_two_switches_with_one_etag_the_second_is_refused(
    client: DeploymentsClient, name: str
) -> None:
    async with Replica(client.channel):
        made = await client.create(name, "packs/a")

        async def switch(pack: str) -> str:
            wanted = pb.Deployment(name=made.name, pack=pack, etag=made.etag)
            try:
                return (await client.result(await client.begin_update(wanted, "pack"))).pack
            except OperationFailedError as error:
                return error.reason
            except grpc.aio.AioRpcError as error:
                return reason_of(error)

        ends = set(await asyncio.gather(switch("packs/b"), switch("packs/c")))
        after = await client.get(name)

    assert after.pack in ends
    assert ends - {after.pack} <= {"SWITCH_IN_PROGRESS", "ETAG_MISMATCH"}
    assert len(ends) == 2


async def test_without_a_replica_the_etag_stays_no_hindrance(
    client: DeploymentsClient, name: str
) -> None:
    async with Replica(client.channel):
        made = await client.create(name, "packs/a")
    wanted = pb.Deployment(name=made.name, pack="packs/b", etag=made.etag)
    with pytest.raises(OperationFailedError) as failed:
        await client.result(await client.begin_update(wanted, "pack"))

    assert failed.value.reason == "TRITON_UNAVAILABLE"


async def test_a_change_that_clients_would_notice_wants_to_be_allowed(
    client: DeploymentsClient, name: str
) -> None:
    async with Replica(client.channel):
        await client.create(name, "packs/a")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await client.begin_switch(name, "packs/other")
        with pytest.raises(grpc.aio.AioRpcError) as tried:
            await client.begin_switch(name, "packs/other", validate_only=True)
        switched = await client.switch(name, "packs/other", allow_signature_change=True)

    assert reason_of(refused.value) == reason_of(tried.value) == "SIGNATURE_CHANGED"
    assert error_info_of(refused.value).metadata == {"changed": "labels"}
    assert switched.pack == "packs/other"


async def test_a_name_for_people_comes_with_the_pack_or_not_at_all(
    client: DeploymentsClient, name: str
) -> None:
    async with Replica(client.channel, verdict=fails_on("packs/b")):
        await client.create(name, "packs/a")
        for pack in ("packs/b", "packs/c"):
            wanted = pb.Deployment(
                name=f"deployments/{name}", pack=pack, display_name=f"New {pack}"
            )
            started = await client.begin_update(wanted, "pack", "display_name")
            await client.ended(started)
            after = await client.get(name)
            assert (after.pack, after.display_name) == (
                ("packs/c", "New packs/c") if pack == "packs/c" else ("packs/a", "")
            )


async def test_switching_to_the_pack_that_serves_changes_nothing(
    client: DeploymentsClient, name: str
) -> None:
    async with Replica(client.channel):
        made = await client.create(name, "packs/a")
        assert await client.switch(name, "packs/a") == made


async def test_the_packs_that_serve_and_served_before_cannot_be_deleted(
    client: DeploymentsClient, name: str
) -> None:
    packs = packs_pb2_grpc.PacksStub(client.channel)

    async def deletion_of(pack: str) -> str:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await packs.DeletePack(packs_pb2.DeletePackRequest(name=pack))
        return reason_of(refused.value)

    async with Replica(client.channel, verdict=silent_on("packs/c")) as replica:
        await client.create(name, "packs/a")
        await client.switch(name, "packs/b")
        started = await client.begin_switch(name, "packs/c")
        await replica.until_desired(name, "packs/c")
        found = {pack: await deletion_of(f"packs/{pack}") for pack in ("a", "b", "c")}
        await client.cancel(started)
        await client.ended(started)

    assert found == dict.fromkeys(("a", "b", "c"), "PACK_IN_USE")
