"""Deployments as clients and replicas see them, over gRPC with a packer's process."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from sliceandpack.packer.v1 import deployments_pb2 as pb

from tests.helpers.deployments_client import DeploymentsClient
from tests.helpers.errors import error_info_of, reason_of
from tests.helpers.operations_client import OperationFailedError
from tests.helpers.replica import Replica, silent


async def test_a_deployment_serves_once_its_replica_does(client: DeploymentsClient) -> None:
    async with Replica(client.channel) as replica:
        made = await client.create("shop", "packs/a")
        desired = await replica.until_desired("shop", "packs/a")

    assert (made.name, made.pack, made.version) == ("deployments/shop", "packs/a", 1)
    assert made.state == pb.DEPLOYMENT_STATE_SERVING
    assert [(one.replica, one.version, one.pack) for one in made.replicas] == [("r", 1, "packs/a")]
    assert desired.graph.name.startswith("artifacts/sha256:")
    assert list(desired.labels) == ["one", "two"]
    assert [(one.name, list(one.shape)) for one in desired.inputs] == [("x", [4])]
    assert desired.previous_version == 0


async def test_without_a_replica_nothing_is_deployed_and_the_name_is_free_again(
    client: DeploymentsClient,
) -> None:
    with pytest.raises(OperationFailedError) as failed:
        await client.create("alone", "packs/a")

    assert (failed.value.code, failed.value.reason) == ("UNAVAILABLE", "TRITON_UNAVAILABLE")
    assert await client.names() == []
    async with Replica(client.channel):
        assert (await client.create("alone", "packs/a")).pack == "packs/a"


async def test_of_two_creations_of_one_name_at_once_one_wins(client: DeploymentsClient) -> None:
    async def create(pack: str) -> str:
        try:
            return (await client.create("once", pack)).pack
        except OperationFailedError as error:
            return error.reason
        except grpc.aio.AioRpcError as error:
            return reason_of(error)

    async with Replica(client.channel):
        ends = set(await asyncio.gather(create("packs/a"), create("packs/b")))
        deployment = await client.get("once")

    assert ends == {deployment.pack, "RESOURCE_EXISTS"}


async def test_a_pack_that_does_not_exist_is_refused(client: DeploymentsClient) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await client.begin_create("nothing", "packs/unknown")
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    assert error_info_of(refused.value).metadata["resource"] == "packs/unknown"


async def test_broken_rules_are_told_together(client: DeploymentsClient) -> None:
    request = pb.CreateDeploymentRequest(deployment_id="Bad_Name")
    request.deployment.pack, request.deployment.display_name = "packs/a", "x" * 200
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await client.stub.CreateDeployment(request)
    assert reason_of(refused.value) == "FIELD_INVALID"
    assert "deployment_id" in str(refused.value.details())
    assert "deployment.display_name" in str(refused.value.details())


async def test_validate_only_keeps_nothing(client: DeploymentsClient) -> None:
    answer = await client.begin_create("tried", "packs/a", validate_only=True)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await client.begin_create("tried", "packs/unknown", validate_only=True)

    assert (answer.done, answer.name) == (True, "")
    assert reason_of(refused.value) == "RESOURCE_NOT_FOUND"
    assert await client.names() == []


async def test_a_request_sent_again_makes_one_deployment(client: DeploymentsClient) -> None:
    async with Replica(client.channel):
        first = await client.begin_create("again", "packs/a", request_id="deploy-1")
        second = await client.begin_create("again", "packs/a", request_id="deploy-1")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await client.begin_create("again", "packs/b", request_id="deploy-1")
        await client.result(first)

    assert first.name == second.name
    assert reason_of(refused.value) == "REQUEST_ID_REUSED"


async def test_a_rename_needs_no_replica_and_changes_the_etag(client: DeploymentsClient) -> None:
    async with Replica(client.channel):
        made = await client.create("named", "packs/a")
    wanted = pb.Deployment(name=made.name, display_name="Shop", etag=made.etag)
    renamed = await client.result(await client.begin_update(wanted, "display_name"))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await client.begin_update(wanted, "display_name")

    assert (renamed.display_name, renamed.pack, renamed.version) == ("Shop", "packs/a", 1)
    assert renamed.etag != made.etag
    assert reason_of(refused.value) == "ETAG_MISMATCH"


async def test_deployments_are_listed_by_state_and_pack_in_pages(client: DeploymentsClient) -> None:
    async with Replica(client.channel):
        for name, pack in (("l1", "packs/a"), ("l2", "packs/b"), ("l3", "packs/a")):
            await client.create(name, pack)
        found = await listed(client, filter='state = "SERVING" AND pack = "packs/a"')
        assert found == ["deployments/l1", "deployments/l3"]
        assert await listed(client, filter='state = "PENDING"') == []
        page = await client.stub.ListDeployments(
            pb.ListDeploymentsRequest(page_size=2, order_by="name")
        )
        rest = await listed(client, page_size=2, page_token=page.next_page_token)
    assert rest == ["deployments/l3"]
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await listed(client, filter='state = "HAPPY"')
    assert reason_of(refused.value) == "FILTER_INVALID"


async def listed(client: DeploymentsClient, **query: object) -> list[str]:
    request = pb.ListDeploymentsRequest(order_by="name", **query)  # type: ignore[arg-type]
    return [one.name for one in (await client.stub.ListDeployments(request)).deployments]


async def test_a_deleted_deployment_is_desired_no_longer(client: DeploymentsClient) -> None:
    async with Replica(client.channel) as replica:
        made = await client.create("short", "packs/a")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await client.delete("short", etag="stale")
        await client.delete("short", etag=made.etag)
        await replica.until(lambda: replica.desired("short") is None)

    assert reason_of(refused.value) == "ETAG_MISMATCH"
    with pytest.raises(grpc.aio.AioRpcError) as gone:
        await client.get("short")
    assert reason_of(gone.value) == "RESOURCE_NOT_FOUND"


async def test_versions_and_generations_are_never_given_twice_under_one_name(
    client: DeploymentsClient,
) -> None:
    async with Replica(client.channel) as replica:
        first = await client.create("reborn", "packs/a")
        before = await replica.until_desired("reborn", "packs/a")
        await client.delete("reborn")
        second = await client.create("reborn", "packs/b")
        after = await replica.until_desired("reborn", "packs/b")

    assert second.version > first.version
    assert after.generation > before.generation


async def test_a_report_on_the_deployment_before_says_nothing_of_a_new_one(
    client: DeploymentsClient,
) -> None:
    async with Replica(client.channel) as replica:
        await client.create("late", "packs/a")
        before = await replica.until_desired("late", "packs/a")
        await client.delete("late")
        replica.verdict = silent
        started = await client.begin_create("late", "packs/b")
        after = await replica.until_desired("late", "packs/b")
        await replica.report(before, version=before.version)
        pending = await client.get("late")
        await replica.report(after, version=after.version)
        made = await client.result(started)

    assert pending.state == pb.DEPLOYMENT_STATE_PENDING
    assert (made.pack, made.state) == ("packs/b", pb.DEPLOYMENT_STATE_SERVING)
