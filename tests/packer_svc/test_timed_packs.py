"""Packs of a time to order: the finished pack is measured, and one that is too slow is not kept."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence

import grpc
import pytest
from sliceandpack.packer.v1 import packs_pb2 as pb
from sliceandpack.slicer.v1 import models_pb2

from packer_svc.sizing import ROUNDS, TOLERANCE
from tests.helpers.hasty_slicer import hasty_slicer
from tests.helpers.operations_client import OperationFailedError
from tests.helpers.packer_process import packing_packer
from tests.helpers.packs_client import PacksClient, parts
from tests.helpers.slicer import SlicerClient, slicer_client, until
from tests.helpers.stocked_slicer import StockedSlicer


@pytest.fixture
async def market(slicer: StockedSlicer) -> AsyncIterator[SlicerClient]:
    """A client of the slicer beside the packer."""
    async with slicer_client(slicer.process.address) as client:
        yield client


async def ordered(
    packs: PacksClient, pack_id: str, named: Sequence[str], milliseconds: float
) -> pb.Pack:
    options = pb.PackOptions(budget=pb.PackBudget(latency_ms=milliseconds))
    pack = pb.Pack(fragments=parts(list(named)), options=options)
    started = await packs.stub.CreatePack(pb.CreatePackRequest(pack_id=pack_id, pack=pack))
    return await packs.result(started)


async def refused(
    packs: PacksClient, pack_id: str, named: Sequence[str], milliseconds: float
) -> OperationFailedError:
    with pytest.raises(OperationFailedError) as caught:
        await ordered(packs, pack_id, named, milliseconds)
    assert (caught.value.code, caught.value.reason) == ("INVALID_ARGUMENT", "BUDGET_UNREACHABLE")
    return caught.value


async def kept(market: SlicerClient, *models: str) -> tuple[set[str], set[str]]:
    """The names of the fragments and of the plans of models."""
    fragments, plans = set(), set()
    for model in models:
        request = models_pb2.ListPlansRequest(parent=model, page_size=1000)
        plans |= {one.name for one in (await market.call("ListPlans", request)).plans}
        fragments |= {one.name for one in await market.fragments(model)}
    return fragments, plans


async def test_a_pack_that_keeps_to_its_time_is_made_at_once(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    made = await ordered(packs, "timely-enough", slicer.named("low/zero", "mixed/three"), 50.0)
    assert made.proof_summary.run_time.single_seconds <= 0.05
    assert "too_slow" not in json.loads(await packs.read(made.proof))["budget"]


@pytest.fixture
async def hasty_packs(
    slicer: StockedSlicer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[PacksClient]:
    """A client of a packer whose machine is a thousand times slower than its slicer predicts."""
    async with hasty_slicer(slicer.process.address, 0.001) as address:
        process = packing_packer(tmp_path_factory.mktemp("hasty"), address)
        # Beside the loop: what it asks of its slicer is answered there.
        await asyncio.to_thread(process.start)
        try:
            async with grpc.aio.insecure_channel(process.address) as channel:
                yield PacksClient(channel)
        finally:
            await asyncio.to_thread(process.stop)


@pytest.mark.slow
async def test_a_time_that_no_pack_keeps_to_is_refused_with_what_was_reached(
    hasty_packs: PacksClient, slicer: StockedSlicer, market: SlicerClient
) -> None:
    named = slicer.named("low/zero", "low/two", "mixed/three")
    before = await kept(market, "models/low", "models/mixed")
    predicted = await refused(hasty_packs, "timeless", named, 1e-9)
    assert "the smallest pack of these classes has" in str(predicted)
    # Everything fits as predicted; then the smallest pack is tried, and nothing is smaller.
    measured = await refused(hasty_packs, "too-slow", named, 1e-3)
    assert "of 2 packs that were made" in str(measured)
    assert float(measured.metadata["least"]) > 5e-3

    async def tidy() -> bool:
        return await kept(market, "models/low", "models/mixed") == before

    await until(tidy)
    for model in ("low", "mixed"):
        assert "packs/too-slow" not in (await slicer.holders(model)).values()


@pytest.mark.slow
async def test_a_pack_that_is_too_slow_gives_way_to_a_smaller_one(
    hasty_packs: PacksClient, slicer: StockedSlicer, market: SlicerClient
) -> None:
    # Large enough that sizes make a difference.
    named = await asyncio.to_thread(slicer.add, "wide", (6, 7, 8), 0.5, width=48)
    quickest = float((await refused(hasty_packs, "quickest", named, 1e-3)).metadata["least"])
    whole = await ordered(hasty_packs, "whole", named, 50.0)
    slowest = 1e3 * whole.proof_summary.run_time.single_seconds
    before = await kept(market, "models/wide")
    # Far from both, so that the first pack is too slow and a smaller one is not, however busy the
    # machine is.
    asked = 0.6 * quickest + 0.4 * slowest
    made = await ordered(hasty_packs, "quicker", named, asked)
    assert 1e3 * made.proof_summary.run_time.single_seconds <= (1 + TOLERANCE) * asked
    told = json.loads(await hasty_packs.read(made.proof))["budget"]
    slow = told["too_slow"]
    assert 1 <= len(slow) < ROUNDS
    assert all(one["measured"] > (1 + TOLERANCE) * asked for one in slow)
    assert {one.fragment for one in made.fragments} == {
        name for share in told["shares"] for name in share["fragments"]
    }

    async def only_its_own() -> bool:
        return (await kept(market, "models/wide"))[0] - before[0] <= {
            one.fragment for one in made.fragments
        }

    await until(only_its_own)
