"""Packs whose error a market does not accept are not deployed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from pydantic import ValidationError
from sliceandpack.packer.v1 import deployments_pb2 as pb
from sliceandpack.packer.v1 import packs_pb2

from packer_svc.settings import PackerSettings
from tests.helpers.deployments_client import DeploymentsClient
from tests.helpers.errors import advice_of, error_info_of
from tests.helpers.packer_process import QUICK, stocked_packer
from tests.helpers.packer_state import stock_packs
from tests.helpers.packs_client import PacksClient
from tests.helpers.processes import ServiceProcess
from tests.helpers.replica import Replica

LIMIT = 0.1
BOUNDS = {"good": 0.08, "level": LIMIT, "bad": 0.1001, "worse": 0.3}
OLD = "old"


def summary(bound: float) -> dict[str, Any]:
    """What a proof says of a pack whose error is at most `bound`."""
    return {
        "evaluation": {
            "kind": "EVALUATION_KIND_SLICED_ANEW",
            "error": bound / 2,
            "accuracy": 1 - bound / 2,
            "error_upper_bound": bound,
            "samples": 60,
        }
    }


@pytest.fixture(scope="module")
def gated_packer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """A packer of a market that accepts an error of `LIMIT`; it is asked while nobody did so."""
    folder = tmp_path_factory.mktemp("gated")
    labels = dict.fromkeys([*BOUNDS, OLD], ("one", "two"))
    summaries = {name: summary(bound) for name, bound in BOUNDS.items()}
    options = ["--acceptable-error", str(LIMIT)]
    with stocked_packer(folder, labels, summaries, options).running() as process:
        yield process


@pytest.fixture
async def gated(gated_packer: ServiceProcess) -> AsyncIterator[DeploymentsClient]:
    async with grpc.aio.insecure_channel(gated_packer.address) as channel:
        found = DeploymentsClient(channel)
        yield found
        await found.delete_all()


async def test_a_pack_within_the_limit_is_deployed(gated: DeploymentsClient, name: str) -> None:
    async with Replica(gated.channel):
        await gated.create(name, "packs/good")
        assert (await gated.switch(name, "packs/level")).pack == "packs/level"


@pytest.mark.parametrize("validate_only", [False, True])
async def test_a_pack_above_the_limit_is_refused_with_what_to_do(
    gated: DeploymentsClient, name: str, validate_only: bool
) -> None:
    async with Replica(gated.channel):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await gated.begin_create(name, "packs/bad", validate_only=validate_only)
    info = error_info_of(refused.value)

    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert info.reason == "PACK_NOT_ACCEPTABLE"
    assert dict(info.metadata) == {
        "error_upper_bound": "0.1001",
        "acceptable_error": "0.1",
        "kind": "sliced_anew",
    }
    assert "evaluation samples" in advice_of(refused.value)
    assert await gated.names() == []


@pytest.mark.parametrize("validate_only", [False, True])
@pytest.mark.parametrize("pack", ["packs/worse", f"packs/{OLD}"])
async def test_a_switch_to_such_a_pack_is_refused_and_what_serves_stays(
    gated: DeploymentsClient, name: str, pack: str, validate_only: bool
) -> None:
    async with Replica(gated.channel):
        await gated.create(name, "packs/good")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await gated.begin_switch(name, pack, validate_only=validate_only)
        after = await gated.get(name)

    assert error_info_of(refused.value).reason == "PACK_NOT_ACCEPTABLE"
    assert (after.pack, after.state) == ("packs/good", pb.DEPLOYMENT_STATE_SERVING)


@pytest.mark.parametrize("validate_only", [False, True])
async def test_such_a_pack_is_not_tried_beside_what_serves_either(
    gated: DeploymentsClient, name: str, validate_only: bool
) -> None:
    async with Replica(gated.channel):
        await gated.create(name, "packs/good")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await gated.begin_canary(name, "packs/worse", 0.1, validate_only=validate_only)
        after = await gated.get(name)

    assert error_info_of(refused.value).reason == "PACK_NOT_ACCEPTABLE"
    assert not after.HasField("canary")


async def test_a_pack_that_was_never_judged_is_refused(gated: DeploymentsClient, name: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await gated.begin_create(name, f"packs/{OLD}")
    info = error_info_of(refused.value)
    assert (info.reason, info.metadata["kind"]) == ("PACK_NOT_ACCEPTABLE", "")


async def test_packs_say_whether_they_are_accepted(gated_packer: ServiceProcess) -> None:
    async with grpc.aio.insecure_channel(gated_packer.address) as channel:
        packs = PacksClient(channel)
        listed = (await packs.stub.ListPacks(packs_pb2.ListPacksRequest())).packs
        shown = {pack.name.removeprefix("packs/"): pack.acceptance for pack in listed}
        one = await packs.get("bad")

    assert {name for name, found in shown.items() if found.accepted} == {"good", "level"}
    assert {found.acceptable_error for found in shown.values()} == {LIMIT}
    assert one.acceptance == shown["bad"]


async def test_what_serves_goes_on_when_the_limit_falls_and_cannot_be_chosen_again(
    tmp_path: Path, name: str
) -> None:
    summaries = {"good": summary(0.05), "bad": summary(0.2)}
    await stock_packs(tmp_path / "state", dict.fromkeys(summaries, ("one", "two")), summaries)
    with ServiceProcess("packer_svc", tmp_path, QUICK).running() as process:
        async with grpc.aio.insecure_channel(process.address) as channel:
            client = DeploymentsClient(channel)
            assert not (await PacksClient(channel).get("bad")).HasField("acceptance")
            async with Replica(channel):
                await client.create(name, "packs/bad")
                await client.create(f"{name}-tries", "packs/good")
                await client.start_canary(f"{name}-tries", "packs/bad", 0.1)
        process.stop()
        process.options = [*QUICK, "--acceptable-error", "0.1"]
        process.start()
        async with grpc.aio.insecure_channel(process.address) as channel:
            client = DeploymentsClient(channel)
            async with Replica(channel) as replica:
                await replica.until_desired(name, "packs/bad")
                renamed = pb.Deployment(
                    name=f"deployments/{name}", pack="packs/bad", display_name="still here"
                )
                kept = await client.result(
                    await client.begin_update(renamed, "pack", "display_name")
                )
                await client.switch(name, "packs/good")
                with pytest.raises(grpc.aio.AioRpcError) as back:
                    await client.begin_switch(name, "packs/bad")
                with pytest.raises(grpc.aio.AioRpcError) as promotion:
                    await client.begin_promotion(f"{name}-tries")
                tried = await client.get(f"{name}-tries")

    assert (kept.pack, kept.display_name) == ("packs/bad", "still here")
    assert error_info_of(back.value).reason == "PACK_NOT_ACCEPTABLE"
    assert error_info_of(promotion.value).reason == "PACK_NOT_ACCEPTABLE"
    assert tried.canary.pack == "packs/bad"


@pytest.mark.parametrize("limit", [0.0, -0.1, 1.01, float("nan")])
def test_a_limit_that_is_no_share_is_refused_at_the_start(limit: float) -> None:
    with pytest.raises(ValidationError, match="acceptable_error"):
        PackerSettings(acceptable_error=limit)


def test_the_limit_comes_from_the_environment_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert PackerSettings().acceptable_error is None
    monkeypatch.setenv("PACKER_ACCEPTABLE_ERROR", "0.25")
    assert PackerSettings().acceptable_error == 0.25
