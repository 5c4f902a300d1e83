"""A packer and three replicas, each with a Triton of its own: all of them follow, or none does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import numpy.typing as npt
import pytest
from sliceandpack.packer.v1 import deployments_pb2 as pb

from benchmarks.availability.ports import free_port
from serving.canary import CanaryClient, Sharing
from serving.client import TritonClient
from serving.errors import ServingError
from tests.helpers.command_line import Ended, marketctl
from tests.helpers.deployments_client import DeploymentsClient
from tests.helpers.operations_client import OperationFailedError
from tests.helpers.packer import LONG_SECONDS, classifier_pack
from tests.helpers.packer_state import stock_packs
from tests.helpers.processes import TRITON, ServiceProcess, children_of, command_of, end
from tests.helpers.triton import LABELS, answers, samples

SEEDS = {"one": 1, "two": 2}
RELABELLED = {"relabelled": 2}
REPLICAS = ("triton-0", "triton-1", "triton-2")
GONE = 0


@dataclass(frozen=True, eq=False)
class Processes:
    """A packer and its reconcilers.

    Attributes:
        packer: The packer.
        reconcilers: The reconcilers, each with a Triton.
        tritons: The gRPC addresses of the Tritons; a restart does not change them.
    """

    packer: ServiceProcess
    reconcilers: Sequence[ServiceProcess]
    tritons: Sequence[str]


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """A packer with two packs that can be served, and three replicas."""
    folder = tmp_path_factory.mktemp("fleet")
    packs = {name: classifier_pack(seed) for name, seed in (SEEDS | RELABELLED).items()}
    files = {name: {"graph": pack.graph, "smoke": pack.smoke_test} for name, pack in packs.items()}
    labels = dict.fromkeys(SEEDS, LABELS) | dict.fromkeys(RELABELLED, ("a", "b", "c"))
    asyncio.run(stock_packs(folder / "packer" / "state", labels, files=files))
    packer = ServiceProcess("packer_svc", folder / "packer", ("--drain-seconds", "1"))
    ports = [free_port() for _ in REPLICAS]
    reconcilers = [
        ServiceProcess("serving.reconciler", folder / name, reconciling(packer, name, port))
        for name, port in zip(REPLICAS, ports, strict=True)
    ]
    try:
        for process in (packer, *reconcilers):
            process.start()
        yield Processes(packer, reconcilers, [f"127.0.0.1:{port}" for port in ports])
    finally:
        for process in (*reconcilers, packer):
            process.stop()


def reconciling(packer: ServiceProcess, name: str, port: int) -> list[str]:
    return [
        *("--packer", json.dumps({"address": packer.address}), "--replica", name),
        *("--embedded", "--triton-environment", str(TRITON), "--triton-grpc-port", str(port)),
        *("--comparison-seconds", "0.2", "--probe-seconds", "0.5", "--instances", "1"),
    ]


@dataclass(frozen=True)
class Fleet:
    """What a test does with the replicas."""

    processes: Processes
    client: DeploymentsClient
    tritons: Sequence[TritonClient]

    async def until_served(self, model: str, *seeds: int) -> None:
        """Waits until each Triton answers with its pack, by the seed."""
        async with asyncio.timeout(LONG_SECONDS):
            while [await seed_of(each, model) for each in self.tritons] != list(seeds):  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    def obstruct(self, place: int, model: str, version: int) -> None:
        """Makes the files of one version impossible to write on one replica."""
        staging = self.processes.reconcilers[place].folder / "state" / "staging"
        (staging / f"{model}-{version}-model").mkdir()

    async def ask(self, *arguments: str, form: str = "json") -> Ended:
        """Runs the command line against the packer and the first Triton."""
        packer, triton = self.processes.packer.address, self.processes.tritons[0]
        front = ("--packer", packer, "--triton", triton, "-o", form)
        return await asyncio.to_thread(marketctl, *front, *arguments, COLUMNS="200")

    async def said(self, *arguments: str, form: str = "json") -> Ended:
        """Runs what is to succeed."""
        ended = await self.ask(*arguments, form=form)
        assert ended.code == 0, ended.err
        return ended

    async def until(self, name: str, condition: Callable[[pb.Deployment], bool]) -> pb.Deployment:
        """Waits until a deployment is so."""
        async with asyncio.timeout(LONG_SECONDS):
            while not condition(found := await self.client.get(name)):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        return found


@pytest.fixture
async def fleet(processes: Processes) -> AsyncIterator[Fleet]:
    """The replicas; what a test deploys is gone afterwards."""
    async with AsyncExitStack() as stack:
        tritons = [
            await stack.enter_async_context(TritonClient(address)) for address in processes.tritons
        ]
        channel = await stack.enter_async_context(
            grpc.aio.insecure_channel(processes.packer.address)
        )
        client = DeploymentsClient(channel)
        yield Fleet(processes, client, tritons)
        await client.delete_all()


async def seed_of(triton: TritonClient, model: str) -> int:
    """Which pack answers under a name."""
    x = samples(4)
    with suppress(ServingError):
        found = (await triton.infer(model, {"x": x}, deadline=5)).outputs["probabilities"]
        return which(found, x)
    return GONE


def which(found: npt.NDArray[Any], x: npt.NDArray[np.float32]) -> int:
    """Whose answers they are."""
    return next(seed for seed in SEEDS.values() if np.allclose(found, answers(seed, x), atol=1e-5))


def of_each(replicas: Sequence[pb.ReplicaStatus]) -> list[tuple[str, str, int, int]]:
    return [(one.replica, one.pack, one.version, one.state) for one in replicas]


def all_serve(pack: str, version: int) -> list[tuple[str, str, int, int]]:
    return [(name, pack, version, pb.DEPLOYMENT_STATE_SERVING) for name in REPLICAS]


async def test_a_rollout_reaches_every_replica(fleet: Fleet) -> None:
    made = await fleet.client.create("rollout", "packs/one")
    await fleet.until_served("rollout", 1, 1, 1)
    switched = await fleet.client.switch("rollout", "packs/two")
    await fleet.until_served("rollout", 2, 2, 2)

    assert of_each(made.replicas) == all_serve("packs/one", 1)
    assert of_each(switched.replicas) == all_serve("packs/two", 2)


async def test_a_rollout_that_one_replica_cannot_follow_is_taken_back_on_all(fleet: Fleet) -> None:
    await fleet.client.create("back", "packs/one")
    fleet.obstruct(2, "back", 2)
    with pytest.raises(OperationFailedError) as failed:
        await fleet.client.switch("back", "packs/two")
    after = await fleet.until("back", lambda it: of_each(it.replicas) == all_serve("packs/one", 1))

    await fleet.until_served("back", 1, 1, 1)
    assert failed.value.metadata["replica"] == "triton-2"
    assert (after.pack, after.version) == ("packs/one", 1)


async def test_a_canary_is_tried_on_every_replica_and_promoted_on_every_one(fleet: Fleet) -> None:
    await fleet.client.create("tried", "packs/one")
    started = await fleet.client.start_canary("tried", "packs/two", 0.5)
    await fleet.until_served("tried", 1, 1, 1)
    await fleet.until_served("tried--canary", 2, 2, 2)
    compared = await fleet.until(
        "tried", lambda it: all(one.comparison.agreement.rows for one in it.canary.replicas)
    )
    promoted = await fleet.client.promote("tried")
    await fleet.until_served("tried", 2, 2, 2)
    await fleet.until_served("tried--canary", GONE, GONE, GONE)

    assert of_each(started.canary.replicas) == all_serve("packs/two", 1)
    x = samples(5)
    same = (answers(1, x).argmax(1) == answers(2, x).argmax(1)).mean()
    assert compared.canary.comparison.agreement.rows == len(x)
    assert compared.canary.comparison.agreement.top1_agreement == pytest.approx(same)
    assert of_each(promoted.replicas) == all_serve("packs/two", 2)


async def test_a_canary_that_one_replica_cannot_load_is_taken_back_on_all(fleet: Fleet) -> None:
    await fleet.client.create("refused", "packs/one")
    fleet.obstruct(0, "refused--canary", 1)
    with pytest.raises(OperationFailedError) as failed:
        await fleet.client.start_canary("refused", "packs/two", 0.5)

    await fleet.until_served("refused--canary", GONE, GONE, GONE)
    await fleet.until_served("refused", 1, 1, 1)
    assert failed.value.metadata["replica"] == "triton-0"
    assert not (await fleet.client.get("refused")).HasField("canary")


async def test_a_promotion_that_one_replica_cannot_follow_is_taken_back_on_all(
    fleet: Fleet,
) -> None:
    await fleet.client.create("stuck", "packs/one")
    await fleet.client.start_canary("stuck", "packs/two", 0.5)
    fleet.obstruct(1, "stuck", 2)
    with pytest.raises(OperationFailedError):
        await fleet.client.promote("stuck")

    await fleet.until_served("stuck", 1, 1, 1)
    await fleet.until_served("stuck--canary", 2, 2, 2)
    after = await fleet.client.get("stuck")
    assert (after.pack, after.canary.pack) == ("packs/one", "packs/two")


async def test_clients_notice_nothing_of_a_promotion_but_the_other_pack(fleet: Fleet) -> None:
    await fleet.client.create("smooth", "packs/one")
    await fleet.client.start_canary("smooth", "packs/two", 0.5)
    sharing = CanaryClient(fleet.tritons[0], "smooth", Sharing(0.5, compared=0.2, seed=0))
    x, found = samples(4), []

    async def ask() -> None:
        while True:
            answer = (await sharing.infer({"x": x})).outputs["probabilities"]
            found.append(which(answer, x))

    asking = asyncio.create_task(ask())
    await fleet.client.promote("smooth")
    await fleet.until_served("smooth--canary", GONE, GONE, GONE)
    promoted = len(found)
    async with asyncio.timeout(LONG_SECONDS):
        while len(found) < promoted + 20:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)

    assert set(found) == {1, 2}
    assert set(found[promoted + 1 :]) == {2}
    assert sharing.tally.deployment.failed == 0


async def test_the_command_line_tries_predicts_shows_promotes_and_ends(
    fleet: Fleet, tmp_path: Path
) -> None:
    pictures = tmp_path / "samples.npz"
    np.savez(pictures, x=samples(60))
    await fleet.said("deployments", "create", "walk", "--pack", "one")
    started = await fleet.said("deployments", "canary", "walk", "--pack", "two", "--share", "0.5")
    predicted = await fleet.said("predict", "walk", str(pictures), "--batch", "1")
    await fleet.until("walk", lambda it: it.canary.comparison.canary.requests >= 15)
    shown = await fleet.said("deployments", "show", "walk", form="table")
    listed = await fleet.said("deployments", "list", form="table")
    plain = await fleet.said("deployments", "show", "walk", form="yaml")
    refused = await fleet.ask("deployments", "switch", "walk", "--pack", "two")
    promoted = await fleet.said("deployments", "promote", "walk")
    await fleet.said("deployments", "canary", "walk", "--pack", "one", "--share", "0")
    ended = await fleet.said("deployments", "end-canary", "walk")

    canary = started.data["canary"]
    assert (canary["model"], canary["pack"], canary["share"]) == ("walk--canary", "packs/two", 0.5)
    assert [one["state"] for one in canary["replicas"]] == ["DEPLOYMENT_STATE_SERVING"] * 3
    assert len(predicted.data) == 60
    assert "requests answered" in predicted.err
    assert "largest difference" in predicted.err
    rows = [line.split() for line in shown.out.splitlines()]
    assert ["triton-1", "serving", "yes", "packs/two", "1"] in [row[:5] for row in rows]
    assert ["triton-1", "serving", "yes", "packs/one", "1"] in [row[:5] for row in rows]
    assert any(row[:1] == ["walk--canary"] and row[2] == "0" for row in rows)
    assert "same class as the canary" in shown.out
    assert "packs/two" in listed.out
    assert "top1_agreement" in plain.out
    assert (refused.code, "CANARY_IN_PROGRESS" in refused.err) == (5, True)
    assert promoted.data["pack"] == "packs/two"
    assert "canary" not in promoted.data
    assert "canary" not in ended.data


async def test_a_canary_that_is_asked_in_another_way_is_asked_by_name_alone(
    fleet: Fleet, tmp_path: Path
) -> None:
    pictures = tmp_path / "samples.npz"
    np.savez(pictures, x=samples(3))
    await fleet.client.create("named", "packs/one")
    canary = ("deployments", "canary", "named", "--pack", "relabelled", "--share", "1")
    refused = await fleet.ask(*canary)
    await fleet.said(*canary, "--allow-signature-change")
    predicted = await fleet.said("predict", "named", str(pictures))
    await fleet.until_served("named--canary", 2, 2, 2)

    assert refused.code == 5
    assert "--allow-signature-change" in refused.err
    assert {one["label"] for each in predicted.data for one in each["predictions"]} == set(LABELS)
    assert "named--canary" in predicted.err
    assert not (await fleet.client.get("named")).canary.comparison.HasField("agreement")


async def test_a_killed_triton_and_a_killed_reconciler_come_back_with_deployment_and_canary(
    fleet: Fleet,
) -> None:
    await fleet.client.create("crashed", "packs/one")
    await fleet.client.start_canary("crashed", "packs/two", 0.5)
    reconciler = fleet.processes.reconcilers[1]
    assert reconciler.process is not None
    (server,) = [
        pid
        for pid in children_of(reconciler.process.pid)
        if "tritonserver" in command_of(pid).partition(" ")[0]
    ]
    end(server)
    await fleet.until_served("crashed", 1, 1, 1)
    await fleet.until_served("crashed--canary", 2, 2, 2)

    await asyncio.to_thread(reconciler.kill)
    await asyncio.to_thread(reconciler.start)
    await fleet.until_served("crashed", 1, 1, 1)
    await fleet.until_served("crashed--canary", 2, 2, 2)
    found = await fleet.until(
        "crashed", lambda it: of_each(it.canary.replicas) == all_serve("packs/two", 1)
    )
    assert of_each(found.replicas) == all_serve("packs/one", 1)


async def test_a_packer_that_is_killed_in_a_promotion_goes_on_with_it(fleet: Fleet) -> None:
    await fleet.client.create("resumed", "packs/one")
    await fleet.client.start_canary("resumed", "packs/two", 0.5)
    started = await fleet.client.begin_promotion("resumed")
    await asyncio.to_thread(fleet.processes.packer.kill)
    await asyncio.to_thread(fleet.processes.packer.start)
    promoted = await fleet.client.result(started)

    await fleet.until_served("resumed", 2, 2, 2)
    await fleet.until_served("resumed--canary", GONE, GONE, GONE)
    assert promoted.pack == "packs/two"
    assert not promoted.HasField("canary")
