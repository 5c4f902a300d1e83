"""Switches of a deployment from pack to pack: each succeeds everywhere or is taken back."""

from __future__ import annotations

import time

import pytest
from google.rpc import status_pb2
from sliceandpack.error.v1 import error_reason_pb2 as reasons
from sliceandpack.packer.v1 import deployments_pb2 as pb

from svckit.errors import Unavailable
from svckit.status import to_status
from tests.helpers.deployments_client import DeploymentsClient
from tests.helpers.operations_client import OperationFailedError
from tests.helpers.replica import Replica, fails_on, silent_on


async def test_a_switch_moves_the_pointer_and_keeps_the_pack_before(
    client: DeploymentsClient, name: str
) -> None:
    async with Replica(client.channel) as replica:
        made = await client.create(name, "packs/a")
        switched = await client.switch(name, "packs/b")
        desired = await replica.until_desired(name, "packs/b")

    assert (switched.pack, switched.previous_pack) == ("packs/b", "packs/a")
    assert (switched.version, desired.version, desired.previous_version) == (2, 2, 1)
    assert switched.state == pb.DEPLOYMENT_STATE_SERVING
    assert switched.etag != made.etag


async def test_switching_back_is_a_switch_with_a_version_of_its_own(
    client: DeploymentsClient, name: str
) -> None:
    async with Replica(client.channel):
        await client.create(name, "packs/a")
        await client.switch(name, "packs/b")
        back = await client.switch(name, "packs/a")

    assert (back.pack, back.previous_pack, back.version) == ("packs/a", "packs/b", 3)


async def test_the_candidate_is_desired_beside_what_serves(
    client: DeploymentsClient, name: str
) -> None:
    async with Replica(client.channel, verdict=silent_on("packs/b")) as replica:
        await client.create(name, "packs/a")
        started = await client.begin_switch(name, "packs/b")
        desired = await replica.until_desired(name, "packs/b")
        meanwhile = await client.get(name)
        await replica.report(desired, version=desired.version)
        await client.result(started)

    assert (desired.version, desired.previous_version) == (2, 1)
    assert (meanwhile.pack, meanwhile.version) == ("packs/a", 1)
    assert meanwhile.state == pb.DEPLOYMENT_STATE_SERVING


async def test_a_pack_that_cannot_be_loaded_leaves_the_old_one_serving(
    client: DeploymentsClient, name: str
) -> None:
    async with Replica(client.channel, verdict=fails_on("packs/b")) as replica:
        await client.create(name, "packs/a")
        with pytest.raises(OperationFailedError) as failed:
            await client.switch(name, "packs/b")
        after = await client.get(name)
        desired = await replica.until_desired(name, "packs/a")

    assert (failed.value.code, failed.value.reason) == ("FAILED_PRECONDITION", "DEPLOYMENT_FAILED")
    assert failed.value.metadata == {"replica": "r"}
    assert (after.pack, after.version, after.previous_pack) == ("packs/a", 1, "")
    assert after.state == pb.DEPLOYMENT_STATE_SERVING
    assert (desired.version, desired.previous_version) == (1, 0)


async def test_a_version_that_failed_is_not_given_again(
    client: DeploymentsClient, name: str
) -> None:
    async with Replica(client.channel, verdict=fails_on("packs/b")):
        await client.create(name, "packs/a")
        with pytest.raises(OperationFailedError):
            await client.switch(name, "packs/b")
        assert (await client.switch(name, "packs/c")).version == 3


async def test_a_first_pack_that_cannot_be_loaded_leaves_no_deployment(
    client: DeploymentsClient, name: str
) -> None:
    async with Replica(client.channel, verdict=fails_on("packs/a")) as replica:
        with pytest.raises(OperationFailedError) as failed:
            await client.create(name, "packs/a")
        await replica.until(lambda: replica.desired(name) is None)

    assert failed.value.reason == "DEPLOYMENT_FAILED"
    assert await client.names() == []


async def test_one_replica_that_fails_takes_the_switch_back_on_all(
    client: DeploymentsClient, name: str
) -> None:
    async with (
        Replica(client.channel, "good") as good,
        Replica(client.channel, "bad", fails_on("packs/b")),
    ):
        await client.create(name, "packs/a")
        with pytest.raises(OperationFailedError):
            await client.switch(name, "packs/b")
        back = await good.until_desired(name, "packs/a")
        after = await client.get(name)

    assert back.version == 1
    assert (after.pack, {one.replica for one in after.replicas}) == ("packs/a", {"good", "bad"})


async def test_a_switch_waits_for_every_connected_replica(
    client: DeploymentsClient, name: str
) -> None:
    async with (
        Replica(client.channel, "quick"),
        Replica(client.channel, "slow", silent_on("packs/b")) as slow,
    ):
        await client.create(name, "packs/a")
        started = await client.begin_switch(name, "packs/b")
        desired = await slow.until_desired(name, "packs/b")
        before = await client.get(name)
        await slow.report(desired, version=desired.version)
        switched = await client.result(started)

    assert (before.pack, switched.pack) == ("packs/a", "packs/b")


async def test_a_replica_that_goes_away_is_not_waited_for(
    client: DeploymentsClient, name: str
) -> None:
    async with Replica(client.channel, "stays"):
        async with Replica(client.channel, "goes", silent_on("packs/b")) as goes:
            await client.create(name, "packs/a")
            started = await client.begin_switch(name, "packs/b")
            await goes.until_desired(name, "packs/b")
        switched = await client.result(started)

    assert switched.pack == "packs/b"


async def test_a_replica_without_a_word_is_given_up_in_time(
    client: DeploymentsClient, name: str
) -> None:
    async with Replica(client.channel, verdict=silent_on("packs/b")):
        await client.create(name, "packs/a")
        with pytest.raises(OperationFailedError) as failed:
            await client.switch(name, "packs/b")
        after = await client.get(name)

    assert failed.value.reason == "DEADLINE_EXCEEDED"
    assert (after.pack, after.state) == ("packs/a", pb.DEPLOYMENT_STATE_SERVING)


async def test_trouble_that_may_pass_is_waited_out_and_told_if_it_does_not(
    client: DeploymentsClient, name: str
) -> None:
    async with Replica(client.channel, verdict=silent_on("packs/b")) as replica:
        await client.create(name, "packs/a")
        started = await client.begin_switch(name, "packs/b")
        desired = await replica.until_desired(name, "packs/b")
        await replica.report(desired, version=1, error=triton_away())
        with pytest.raises(OperationFailedError) as failed:
            await client.result(started)

        started = await client.begin_switch(name, "packs/c")
        replica.verdict = silent_on("packs/c")
        desired = await replica.until_desired(name, "packs/c")
        await replica.report(desired, version=1, error=triton_away())
        await replica.report(desired, version=desired.version)
        switched = await client.result(started)

    assert failed.value.reason == "TRITON_UNAVAILABLE"
    assert "replica r" in failed.value.message
    assert switched.pack == "packs/c"


def triton_away() -> status_pb2.Status:
    error = Unavailable(
        reasons.ERROR_REASON_TRITON_UNAVAILABLE, "The Triton of replica r restarts.", advice="Wait."
    )
    return to_status(error)


async def test_a_cancelled_switch_is_taken_back_within_five_seconds(
    client: DeploymentsClient, name: str
) -> None:
    async with Replica(client.channel, verdict=silent_on("packs/b")) as replica:
        await client.create(name, "packs/a")
        started = await client.begin_switch(name, "packs/b")
        await replica.until_desired(name, "packs/b")
        begun = time.monotonic()
        await client.cancel(started)
        with pytest.raises(OperationFailedError) as failed:
            await client.result(started)
        await replica.until_desired(name, "packs/a")
        took = time.monotonic() - begun
        after = await client.get(name)
        await client.switch(name, "packs/c")

    assert failed.value.reason == "CANCELLED"
    assert took < 5  # What cancelling promises, not how fast it is.
    assert (after.pack, after.state) == ("packs/a", pb.DEPLOYMENT_STATE_SERVING)


async def test_a_cancelled_creation_leaves_the_name_free(
    client: DeploymentsClient, name: str
) -> None:
    async with Replica(client.channel, verdict=silent_on("packs/a")) as replica:
        started = await client.begin_create(name, "packs/a")
        await replica.until_desired(name, "packs/a")
        await client.cancel(started)
        await client.ended(started)
        await replica.until(lambda: replica.desired(name) is None)

    assert await client.names() == []
