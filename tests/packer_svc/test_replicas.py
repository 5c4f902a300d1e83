"""What replicas hear from the packer, and what it makes of what they say."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

import grpc
import pytest
from sliceandpack.packer.v1 import deployments_pb2 as pb

from svckit.status import to_status
from tests.helpers.command_line import Ended, marketctl
from tests.helpers.deployments_client import DeploymentsClient
from tests.helpers.errors import reason_of
from tests.helpers.operations_client import OperationFailedError
from tests.helpers.processes import ServiceProcess
from tests.helpers.replica import Replica, cannot_load, silent


async def until(
    client: DeploymentsClient, name: str, condition: Callable[[pb.Deployment], bool]
) -> pb.Deployment:
    async with asyncio.timeout(60):
        while not condition(found := await client.get(name)):  # noqa: ASYNC110 - A client has no event.
            await asyncio.sleep(0.02)
    return found


def degraded(deployment: pb.Deployment) -> bool:
    return deployment.state == pb.DEPLOYMENT_STATE_DEGRADED


def serving(deployment: pb.Deployment) -> bool:
    return deployment.state == pb.DEPLOYMENT_STATE_SERVING


async def test_a_watch_begins_with_all_that_is_desired(client: DeploymentsClient) -> None:
    async with Replica(client.channel, "first"):
        await client.create("d1", "packs/a")
        await client.create("d2", "packs/b")
        async with Replica(client.channel, "second", silent) as second:
            state = second.states[0]

    assert [(one.name, one.pack) for one in state.deployments] == [
        ("deployments/d1", "packs/a"),
        ("deployments/d2", "packs/b"),
    ]


async def test_a_watch_tells_every_change_with_a_higher_revision(
    client: DeploymentsClient, name: str
) -> None:
    async with Replica(client.channel) as replica:
        await client.create(name, "packs/a")
        await client.switch(name, "packs/b")
        await client.delete(name)
        await replica.until(lambda: replica.desired(name) is None)

    revisions = [state.revision for state in replica.states]
    assert revisions == sorted(set(revisions))
    assert len(revisions) >= 4


async def test_a_deployment_is_degraded_while_no_replica_is_connected(
    client: DeploymentsClient, name: str
) -> None:
    async with Replica(client.channel):
        await client.create(name, "packs/a")
    gone = await until(client, name, degraded)
    async with Replica(client.channel):
        back = await until(client, name, serving)

    assert [one.connected for one in gone.replicas] == [False]
    assert [one.connected for one in back.replicas] == [True]


async def test_a_replica_that_cannot_serve_any_more_degrades_the_deployment(
    client: DeploymentsClient, name: str
) -> None:
    async with Replica(client.channel) as replica:
        await client.create(name, "packs/a")
        desired = await replica.until_desired(name, "packs/a")
        await replica.report(desired, version=0, error=to_status(cannot_load("packs/a")))
        broken = await client.get(name)
        await replica.report(desired, version=desired.version)
        mended = await client.get(name)

    assert degraded(broken)
    assert broken.replicas[0].error.message == "packs/a cannot be loaded."
    assert serving(mended)
    assert not mended.replicas[0].HasField("error")


async def test_a_new_replica_degrades_a_deployment_until_it_serves_too(
    client: DeploymentsClient, name: str
) -> None:
    async with Replica(client.channel, "old"):
        await client.create(name, "packs/a")
        async with Replica(client.channel, "new", silent) as new:
            await until(client, name, degraded)
            desired = await new.until_desired(name, "packs/a")
            await new.report(desired, version=desired.version)
            assert serving(await client.get(name))


async def test_a_report_that_was_overtaken_changes_nothing(
    client: DeploymentsClient, name: str
) -> None:
    async with Replica(client.channel) as replica:
        await client.create(name, "packs/a")
        before = await replica.until_desired(name, "packs/a")
        await client.switch(name, "packs/b")
        await replica.report(before, version=1, error=to_status(cannot_load("packs/a")))
        after = await client.get(name)

    assert serving(after)
    assert after.replicas[0].version == 2


async def test_live_parity_is_kept_and_shown_until_the_next_report(
    client: DeploymentsClient, name: str
) -> None:
    async with Replica(client.channel) as replica:
        await client.create(name, "packs/a")
        desired = await replica.until_desired(name, "packs/a")
        cases = [live_parity("samples"), live_parity("extreme", max_absolute_difference=math.inf)]
        await replica.report(desired, version=desired.version, parity=cases)
        shown = (await client.get(name)).replicas[0]
        await replica.report(desired, version=desired.version, parity=cases[:1])
        after = (await client.get(name)).replicas[0]

    assert list(shown.parity) == cases
    assert list(after.parity) == cases[:1]


async def test_the_command_line_shows_live_parity_of_every_replica(
    client: DeploymentsClient, shared_packer: ServiceProcess, name: str
) -> None:
    def show(form: str) -> Ended:
        packer = ("--packer", shared_packer.address, "--output", form)
        return marketctl(*packer, "deployments", "show", name, COLUMNS="200")

    async with Replica(client.channel) as replica:
        await client.create(name, "packs/a")
        desired = await replica.until_desired(name, "packs/a")
        cases = [live_parity("random"), live_parity("extreme", max_absolute_difference=0.25)]
        await replica.report(desired, version=desired.version, parity=cases)
        table = await asyncio.to_thread(show, "table")
        plain = await asyncio.to_thread(show, "json")

    assert (table.code, plain.code) == (0, 0), table.err + plain.err
    rows = [line.split() for line in table.out.partition("Live answers")[2].splitlines()]
    assert ["r", "random", "probabilities", "8", "1e-07", "1.000000", "100.0", "%", "yes"] in rows
    assert ["r", "extreme", "probabilities", "8", "0.25", "1.000000", "100.0", "%", "no"] in rows
    shown = plain.data["replicas"][0]["parity"]
    assert [(one["inputs"], one["passed"]) for one in shown] == [
        ("random", True),
        ("extreme", False),
    ]
    assert shown[1]["max_absolute_difference"] == 0.25


async def test_parity_of_a_pack_that_was_taken_back_is_not_shown_of_the_one_that_serves(
    client: DeploymentsClient, name: str
) -> None:
    async with Replica(client.channel) as replica:
        await client.create(name, "packs/a")
        replica.verdict = silent
        switching = await client.begin_switch(name, "packs/b")
        desired = await replica.until_desired(name, "packs/b")
        error = to_status(cannot_load("packs/b"))
        await replica.report(desired, version=1, error=error, parity=[live_parity("random")])
        with pytest.raises(OperationFailedError):
            await client.result(switching)
        after = await client.get(name)

    assert after.pack == "packs/a"
    assert list(after.replicas[0].parity) == []


def live_parity(inputs: str, *, max_absolute_difference: float = 1e-7) -> pb.LiveParity:
    return pb.LiveParity(
        inputs=inputs,
        output="probabilities",
        rows=8,
        max_absolute_difference=max_absolute_difference,
        max_relative_difference=1e-7,
        cosine_similarity=1.0,
        top1_agreement=1.0,
        absolute_tolerance=1e-4,
        relative_tolerance=1e-3,
        passed=max_absolute_difference < 1e-4,
    )


async def test_reports_that_make_no_sense_are_refused(client: DeploymentsClient, name: str) -> None:
    async with Replica(client.channel) as replica:
        await client.create(name, "packs/a")
        desired = await replica.until_desired(name, "packs/a")
        report = pb.ReportReadyRequest(replica="r", deployment=desired.name, version=1)

        async def refused(**changes: object) -> str:
            wrong = pb.ReportReadyRequest()
            wrong.CopyFrom(report)
            wrong.MergeFrom(pb.ReportReadyRequest(**changes))  # type: ignore[arg-type]
            with pytest.raises(grpc.aio.AioRpcError) as failed:
                await client.stub.ReportReady(wrong)
            return reason_of(failed.value)

        assert await refused(generation=desired.generation + 1) == "FIELD_INVALID"
        assert await refused(generation=1, deployment="deployments/x") == "RESOURCE_NOT_FOUND"
        assert await refused(generation=1, replica="r" * 200) == "FIELD_INVALID"
        assert await refused(generation=1, version=-1) == "FIELD_INVALID"
        assert await refused(generation=1, parity=[live_parity("samples")] * 65) == "FIELD_INVALID"
        assert await refused(generation=1, parity=[live_parity("x" * 300)]) == "FIELD_INVALID"
        assert await refused() == "FIELD_REQUIRED"
        assert serving(await client.get(name))


async def test_a_stopping_packer_sends_its_replicas_away(own_packer: ServiceProcess) -> None:
    async with (
        grpc.aio.insecure_channel(own_packer.address) as channel,
        Replica(channel) as replica,
    ):
        stopped = asyncio.create_task(asyncio.to_thread(own_packer.stop))
        await replica.until(lambda: replica.ended is not None)
        assert await stopped == 0

    assert replica.ended is not None
    assert reason_of(replica.ended) == "SHUTTING_DOWN"
