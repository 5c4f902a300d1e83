"""Packs that are tried beside the one that a deployment serves."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import grpc
import pytest
from sliceandpack.packer.v1 import deployments_pb2 as pb
from sliceandpack.packer.v1 import packs_pb2, packs_pb2_grpc

from tests.helpers.deployments_client import DeploymentsClient
from tests.helpers.errors import error_info_of, reason_of
from tests.helpers.operations_client import OperationFailedError
from tests.helpers.packer_process import PACKS, QUICK
from tests.helpers.packer_state import stock_packs
from tests.helpers.processes import ServiceProcess
from tests.helpers.replica import Replica, fails_on, silent_on


async def test_a_canary_is_served_beside_the_deployment_under_a_name_of_its_own(
    client: DeploymentsClient, name: str
) -> None:
    async with Replica(client.channel) as replica:
        made = await client.create(name, "packs/a")
        found = await client.start_canary(name, "packs/b", 0.1)
        canary = await replica.until_desired(f"{name}--canary", "packs/b")
        stable = await replica.until_desired(name, "packs/a")
        listed = await client.stub.ListDeployments(pb.ListDeploymentsRequest())

    assert (found.pack, found.version, found.state) == ("packs/a", 1, made.state)
    assert found.canary.model == f"{name}--canary"
    assert (found.canary.pack, found.canary.version) == ("packs/b", 1)
    assert found.canary.share == 0.1
    assert found.canary.state == pb.DEPLOYMENT_STATE_SERVING
    assert [(one.replica, one.version) for one in found.canary.replicas] == [("r", 1)]
    assert canary.canary_of == f"deployments/{name}"
    assert stable.canary_of == ""
    assert [(one.name, one.canary.pack) for one in listed.deployments] == [(found.name, "packs/b")]
    assert found.etag != made.etag


async def test_the_share_of_a_canary_is_changed_without_loading_it_again(
    client: DeploymentsClient, name: str
) -> None:
    async with Replica(client.channel) as replica:
        await client.create(name, "packs/a")
        first = await client.start_canary(name, "packs/b", 0.1)
        states = len(replica.states)
        second = await client.start_canary(name, "packs/b", 0.5)

    assert len(replica.states) == states
    assert (second.canary.share, second.canary.version) == (0.5, first.canary.version)
    assert second.etag != first.etag


async def test_a_promoted_canary_is_the_deployments_pack_and_gone_as_a_canary(
    client: DeploymentsClient, name: str
) -> None:
    async with Replica(client.channel) as replica:
        await client.create(name, "packs/a")
        started = await client.start_canary(name, "packs/b", 0.1)
        promoted = await client.promote(name, etag=started.etag)
        await replica.until(lambda: replica.desired(f"{name}--canary") is None)

    assert (promoted.pack, promoted.previous_pack, promoted.version) == ("packs/b", "packs/a", 2)
    assert not promoted.HasField("canary")
    # At no time was neither of both desired.
    for state in replica.states:
        packs = {one.pack for one in state.deployments if one.name.startswith(promoted.name)}
        assert not state.deployments or packs & {"packs/a", "packs/b"}
    last_with_canary = [state for state in replica.states if len(state.deployments) == 2][-1]
    assert {one.pack for one in last_with_canary.deployments} == {"packs/b"}


async def test_a_promotion_that_one_replica_cannot_follow_is_taken_back_and_the_canary_stays(
    client: DeploymentsClient, name: str
) -> None:
    async with Replica(client.channel), Replica(client.channel, "other") as other:
        await client.create(name, "packs/a")
        await client.start_canary(name, "packs/b", 0.1)
        other.verdict = fails_on("packs/b")
        with pytest.raises(OperationFailedError) as failed:
            await client.promote(name)
        after = await client.get(name)

    assert failed.value.reason == "DEPLOYMENT_FAILED"
    assert (after.pack, after.version) == ("packs/a", 1)
    assert after.canary.pack == "packs/b"


async def test_an_ended_canary_is_desired_no_longer_and_the_deployment_stays(
    client: DeploymentsClient, name: str
) -> None:
    async with Replica(client.channel) as replica:
        await client.create(name, "packs/a")
        await client.start_canary(name, "packs/b", 0.1)
        ended = await client.end_canary(name)
        await replica.until(lambda: replica.desired(f"{name}--canary") is None)
        again = await client.start_canary(name, "packs/c", 0.2)

    assert not ended.HasField("canary")
    assert (ended.pack, ended.version) == ("packs/a", 1)
    # A replica that missed the end must not take the first canary's files for the second one's.
    assert (again.canary.pack, again.canary.version) == ("packs/c", 2)


async def test_a_canary_that_one_replica_cannot_load_is_taken_back_on_all(
    client: DeploymentsClient, name: str
) -> None:
    async with (
        Replica(client.channel, "good") as good,
        Replica(client.channel, "bad", fails_on("packs/b")),
    ):
        made = await client.create(name, "packs/a")
        with pytest.raises(OperationFailedError) as failed:
            await client.start_canary(name, "packs/b", 0.1)
        await good.until(lambda: good.desired(f"{name}--canary") is None)
        after = await client.get(name)

    assert failed.value.reason == "DEPLOYMENT_FAILED"
    assert not after.HasField("canary")
    assert (after.pack, after.state) == ("packs/a", pb.DEPLOYMENT_STATE_SERVING)
    assert after.etag != made.etag


async def test_beside_a_canary_nothing_is_switched_but_the_name_for_people_is_changed(
    client: DeploymentsClient, name: str
) -> None:
    async with Replica(client.channel):
        made = await client.create(name, "packs/a")
        await client.start_canary(name, "packs/b", 0.1)
        with pytest.raises(grpc.aio.AioRpcError) as switched:
            await client.begin_switch(name, "packs/c")
        with pytest.raises(grpc.aio.AioRpcError) as second:
            await client.begin_canary(name, "packs/c", 0.1)
        renaming = pb.Deployment(name=made.name, display_name="Harbour")
        renamed = await client.result(await client.begin_update(renaming, "display_name"))

    assert reason_of(switched.value) == reason_of(second.value) == "CANARY_IN_PROGRESS"
    assert error_info_of(switched.value).metadata["pack"] == "packs/b"
    assert (renamed.display_name, renamed.canary.pack) == ("Harbour", "packs/b")


async def test_while_a_canary_is_loaded_it_can_be_neither_promoted_nor_ended_but_cancelled(
    client: DeploymentsClient, name: str
) -> None:
    async with Replica(client.channel, verdict=silent_on("packs/b")) as replica:
        await client.create(name, "packs/a")
        started = await client.begin_canary(name, "packs/b", 0.1)
        await replica.until_desired(f"{name}--canary", "packs/b")
        meanwhile = await client.get(name)
        refused = []
        for call in (client.begin_promotion, client.end_canary, client.delete):
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await call(name)
            refused.append(reason_of(error.value))
        await client.cancel(started)
        with pytest.raises(OperationFailedError) as cancelled:
            await client.result(started)
        await replica.until(lambda: replica.desired(f"{name}--canary") is None)
        after = await client.get(name)

    assert refused == ["SWITCH_IN_PROGRESS"] * 3
    assert (meanwhile.canary.pack, meanwhile.canary.state) == (
        "packs/b",
        pb.DEPLOYMENT_STATE_PENDING,
    )
    assert [one.state for one in meanwhile.canary.replicas] == [pb.DEPLOYMENT_STATE_PENDING]
    assert cancelled.value.reason == "CANCELLED"
    assert not after.HasField("canary")


async def test_a_deleted_deployment_takes_its_canary_along(
    client: DeploymentsClient, name: str
) -> None:
    async with Replica(client.channel) as replica:
        await client.create(name, "packs/a")
        await client.start_canary(name, "packs/b", 0.1)
        await client.delete(name)
        await replica.until(lambda: not replica.states[-1].deployments)
        anew = await client.create(name, "packs/c")

    assert not anew.HasField("canary")


async def test_a_pack_that_is_tried_cannot_be_deleted(client: DeploymentsClient, name: str) -> None:
    packs: packs_pb2_grpc.PacksAsyncStub = packs_pb2_grpc.PacksStub(client.channel)
    async with Replica(client.channel):
        made = await client.create(name, "packs/a")
        await client.start_canary(name, "packs/b", 0.1)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await packs.DeletePack(packs_pb2.DeletePackRequest(name="packs/b"))

    assert reason_of(refused.value) == "PACK_IN_USE"
    assert error_info_of(refused.value).metadata["deployments"] == made.name


async def test_a_canary_that_clients_would_notice_is_refused_unless_allowed(
    client: DeploymentsClient, name: str
) -> None:
    async with Replica(client.channel):
        await client.create(name, "packs/a")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await client.begin_canary(name, "packs/other", 0.1)
        found = await client.start_canary(name, "packs/other", 0.0, allow_signature_change=True)
        promoted = await client.promote(name)

    assert reason_of(refused.value) == "SIGNATURE_CHANGED"
    assert error_info_of(refused.value).metadata["changed"] == "labels"
    assert found.canary.pack == promoted.pack == "packs/other"


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
async def test_a_share_that_is_none_is_refused(
    client: DeploymentsClient, name: str, share: float
) -> None:
    async with Replica(client.channel):
        await client.create(name, "packs/a")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await client.begin_canary(name, "packs/b", share)

    assert reason_of(refused.value) == "FIELD_INVALID"
    assert error_info_of(refused.value).metadata["field"] == "share"


async def test_what_is_not_there_is_neither_tried_nor_promoted_nor_ended(
    client: DeploymentsClient, name: str
) -> None:
    async with Replica(client.channel):
        refused = []
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await client.begin_canary(name, "packs/b", 0.1)
        refused.append(reason_of(error.value))
        await client.create(name, "packs/a")
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await client.begin_canary(name, "packs/none", 0.1)
        refused.append(reason_of(error.value))
        for call in (client.begin_promotion, client.end_canary):
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await call(name)
            refused.append(reason_of(error.value))

    assert refused == ["RESOURCE_NOT_FOUND"] * 4


async def test_a_canary_is_no_deployment_and_no_deployment_is_called_like_one(
    client: DeploymentsClient, name: str
) -> None:
    async with Replica(client.channel):
        await client.create(name, "packs/a")
        await client.start_canary(name, "packs/b", 0.1)
        with pytest.raises(grpc.aio.AioRpcError) as got:
            await client.get(f"{name}--canary")
        with pytest.raises(grpc.aio.AioRpcError) as made:
            await client.begin_create("mine--canary", "packs/a")

    assert reason_of(got.value) == "RESOURCE_NOT_FOUND"
    assert reason_of(made.value) == "FIELD_INVALID"


async def test_the_longest_name_of_a_deployment_has_a_canary_too(
    client: DeploymentsClient,
) -> None:
    longest = "x" * 63
    async with Replica(client.channel):
        await client.create(longest, "packs/a")
        found = await client.start_canary(longest, "packs/b", 1.0)

    assert found.canary.model == f"{longest}--canary"


async def test_a_request_that_is_only_checked_starts_and_promotes_nothing(
    client: DeploymentsClient, name: str
) -> None:
    async with Replica(client.channel):
        await client.create(name, "packs/a")
        await client.begin_canary(name, "packs/b", 0.1, validate_only=True)
        assert not (await client.get(name)).HasField("canary")
        await client.start_canary(name, "packs/b", 0.1)
        await client.begin_promotion(name, validate_only=True)
        assert (await client.get(name)).pack == "packs/a"


async def test_ending_and_promoting_with_a_stale_etag_are_refused(
    client: DeploymentsClient, name: str
) -> None:
    async with Replica(client.channel):
        made = await client.create(name, "packs/a")
        await client.start_canary(name, "packs/b", 0.1)
        for call in (client.begin_promotion, client.end_canary):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call(name, etag=made.etag)
            assert reason_of(refused.value) == "ETAG_MISMATCH"


def comparison(start: int, requests: int, errors: int = 0, rows: int = 0) -> pb.CanaryComparison:
    found = pb.CanaryComparison(
        deployment=pb.ModelTraffic(requests=9 * requests, request_seconds=0.9),
        canary=pb.ModelTraffic(requests=requests, errors=errors, request_seconds=0.2),
    )
    found.start_time.FromSeconds(start)
    if rows:
        found.agreement.rows, found.agreement.top1_agreement = rows, 1 - rows / 16
        found.agreement.max_absolute_difference = 0.1 * rows
    return found


async def test_what_replicas_see_of_a_canary_is_added_up(
    client: DeploymentsClient, name: str
) -> None:
    async with Replica(client.channel, "one") as one, Replica(client.channel, "two") as two:
        await client.create(name, "packs/a")
        await client.start_canary(name, "packs/b", 0.1)
        desired = await one.until_desired(f"{name}--canary", "packs/b")
        for replica, said in (
            (one, comparison(100, 10, rows=4)),
            (one, comparison(100, 15, errors=1, rows=4)),  # In place of what it said before.
            (one, comparison(200, 2)),  # It was started again, and counts anew.
            (two, comparison(150, 5, rows=8)),
            (two, comparison(150, 5, rows=8)),  # Sent twice, since the answer was lost.
        ):
            await replica.report(desired, version=1, comparison=said)
        found = (await client.get(name)).canary
        alone = {status.replica: status.comparison for status in found.replicas}

    assert (alone["one"].canary.requests, alone["one"].canary.errors) == (17, 1)
    assert alone["one"].canary.request_seconds == pytest.approx(0.4)
    assert alone["two"].canary.requests == 5
    assert found.comparison.canary.requests == 22
    assert found.comparison.deployment.requests == 9 * 22
    assert found.comparison.start_time.ToSeconds() == 100
    # All replicas ask the same samples: the least agreement counts, and no sample twice.
    assert alone["one"].agreement.top1_agreement == pytest.approx(0.75)
    assert found.comparison.agreement.rows == 8
    assert found.comparison.agreement.top1_agreement == pytest.approx(0.5)
    assert found.comparison.agreement.max_absolute_difference == pytest.approx(0.8)


async def test_comparisons_that_make_no_sense_are_refused(
    client: DeploymentsClient, name: str
) -> None:
    async with Replica(client.channel) as replica:
        await client.create(name, "packs/a")
        await client.start_canary(name, "packs/b", 0.1)
        desired = await replica.until_desired(f"{name}--canary", "packs/b")
        wrong = [comparison(100, -1), comparison(100, 1), comparison(100, 1, rows=2)]
        wrong[1].canary.queue_seconds = float("inf")
        wrong[2].agreement.top1_agreement = 1.5
        for said in wrong:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await replica.report(desired, version=1, comparison=said)
            assert reason_of(refused.value) == "FIELD_INVALID"


async def test_beside_an_older_deployment_of_the_reserved_name_there_is_no_canary(
    tmp_path: Path, name: str
) -> None:
    await stock_packs(tmp_path / "state", PACKS)
    process = ServiceProcess("packer_svc", tmp_path, QUICK)
    process.start()
    try:
        async with grpc.aio.insecure_channel(process.address) as channel, Replica(channel):
            client = DeploymentsClient(channel)
            await client.create(name, "packs/a")
            await client.create("older", "packs/b")
        process.stop()
        with closing(sqlite3.connect(tmp_path / "state" / "service.db")) as database, database:
            database.execute("PRAGMA foreign_keys = OFF")
            reserved = (f"{name}--canary",)
            database.execute("UPDATE deployments SET id = ? WHERE id = 'older'", reserved)
            database.execute("DELETE FROM replicas WHERE deployment_id = 'older'")
        process.start()
        async with grpc.aio.insecure_channel(process.address) as channel, Replica(channel):
            client = DeploymentsClient(channel)
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await client.begin_canary(name, "packs/c", 0.1)
            older = await client.get(f"{name}--canary")
            switched = await client.switch(f"{name}--canary", "packs/c")
    finally:
        process.stop()

    assert reason_of(refused.value) == "RESOURCE_EXISTS"
    assert (older.pack, switched.pack) == ("packs/b", "packs/c")
