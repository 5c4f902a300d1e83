"""Packs of a size to order that are cancelled, or whose packer dies, while the slicer works."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from google.longrunning import operations_pb2
from sliceandpack.operation.v1 import operation_events_pb2 as events_pb2
from sliceandpack.packer.v1 import packs_pb2 as pb
from sliceandpack.slicer.v1 import models_pb2
from sliceandpack.slicer.v1.plans_pb2 import METHOD_RATE, Recipe

from tests.helpers.operations_client import OperationsClient, metadata_of
from tests.helpers.packs_client import PacksClient, parts, slow_head
from tests.helpers.processes import ServiceProcess
from tests.helpers.slicer import SlicerClient, slicer_client, until
from tests.helpers.stocked_slicer import StockedSlicer
from tests.packer_svc.test_pack_recovery import client_of, killed_packer

__all__ = ["killed_packer"]

# Half a second a class, by the slicer's clock.
SLOW = Recipe(method=METHOD_RATE, beta=0.5, views=1, steps=60)

pytestmark = pytest.mark.slow


@pytest.fixture
async def market(slicer: StockedSlicer) -> AsyncIterator[SlicerClient]:
    """A client of the slicer beside the packer."""
    async with slicer_client(slicer.process.address) as client:
        yield client


async def slowly_sliced(market: SlicerClient) -> list[str]:
    """Fragments whose like take a while to slice."""
    plan = await market.plan("models/low", SLOW)
    return [fragment.name for fragment in await market.slice(plan.name, ["zero", "one"])]


async def kept(market: SlicerClient) -> tuple[set[str], set[str]]:
    """The names of the fragments and of the plans of "low"."""
    request = models_pb2.ListPlansRequest(parent="models/low", page_size=1000)
    plans = (await market.call("ListPlans", request)).plans
    fragments = await market.fragments("models/low")
    return {one.name for one in fragments}, {one.name for one in plans}


async def slicings(market: SlicerClient) -> list[operations_pb2.Operation]:
    """The slicer's operations that slice."""
    client = OperationsClient(market.channel)
    request = operations_pb2.ListOperationsRequest(name="operations", page_size=1000)
    listed = await client.operations.ListOperations(request)
    return [one for one in listed.operations if metadata_of(one).kind == "SliceModel"]


def order(
    pack_id: str, fragments: Sequence[str], macs: float, head: pb.HeadSpec | None = None
) -> pb.CreatePackRequest:
    options = pb.PackOptions(budget=pb.PackBudget(macs=macs))
    pack = pb.Pack(fragments=parts(list(fragments)), options=options, head=head)
    return pb.CreatePackRequest(pack_id=pack_id, pack=pack)


async def test_a_cancelled_order_ends_the_slicers_work_and_leaves_nothing(
    packs: PacksClient, market: SlicerClient
) -> None:
    named = await slowly_sliced(market)
    before, earlier = await kept(market), await slicings(market)
    started = await packs.stub.CreatePack(order("cancelled", named, 0.31))
    await packs.until_phase(started, "slice")
    await until(lambda: _has_more(market, len(earlier)))
    await packs.cancel(started)
    ended = await packs.ended(started)
    assert metadata_of(ended).state == events_pb2.STATE_CANCELLED

    async def tidy() -> bool:
        return await kept(market) == before

    await until(tidy)
    states = {metadata_of(one).state for one in await slicings(market)}
    assert events_pb2.STATE_RUNNING not in states


async def _has_more(market: SlicerClient, count: int) -> bool:
    return len(await slicings(market)) > count


async def test_an_order_that_fails_after_slicing_leaves_only_what_others_hold(
    packs: PacksClient, market: SlicerClient
) -> None:
    named = await slowly_sliced(market)
    started = await packs.stub.CreatePack(order("given-up", named, 0.52, slow_head()))
    await packs.until_phase(started, "head")
    keeper, other = await _held_by(market, "packs/given-up")
    # By hand: the only worker is busy with the head.
    holding = models_pb2.CreateReferenceRequest(parent="models/low", reference_id="keeper")
    holding.reference.holder = "packs/keeper"
    holding.reference.fragments.append(keeper)
    holding.reference.expire_time.FromDatetime(datetime.now(tz=UTC) + timedelta(days=1))
    await market.call("CreateReference", holding)
    await packs.cancel(started)
    await packs.ended(started)

    async def gone() -> bool:
        return other not in (await kept(market))[0]

    await until(gone)
    assert keeper in (await kept(market))[0]
    await market.call(
        "DeleteReference",
        models_pb2.DeleteReferenceRequest(name="models/low/references/keeper"),
    )


async def _held_by(market: SlicerClient, pack: str) -> list[str]:
    request = models_pb2.ListReferencesRequest(parent="models/low")
    references = (await market.call("ListReferences", request)).references
    return [name for one in references if one.holder == pack for name in one.fragments]


async def test_a_killed_packer_finds_what_it_had_ordered(
    killed_packer: ServiceProcess, market: SlicerClient
) -> None:
    named = await slowly_sliced(market)
    count = len(await slicings(market))
    async with client_of(killed_packer) as packs:
        started = await packs.stub.CreatePack(order("reordered", named, 0.43))
        await packs.until_phase(started, "slice")
        await until(lambda: _has_more(market, count))
        now = len(await slicings(market))
        await asyncio.to_thread(killed_packer.kill)
        await asyncio.to_thread(killed_packer.start)
        made = await packs.result(started)
        assert metadata_of(await packs.ended(started)).attempt == 2

    # One trunk for both classes, ordered once.
    assert len(await slicings(market)) == now == count + 1
    assert made.macs <= 0.43 * made.ensemble_macs
    fragments, plans = await kept(market)
    assert {one.fragment for one in made.fragments} <= fragments

    async def one_plan_a_size() -> bool:
        _, left = await kept(market)
        return left <= plans

    await until(one_plan_a_size)


async def test_an_order_of_models_that_are_gone_is_refused(
    packs: PacksClient, market: SlicerClient, slicer: StockedSlicer
) -> None:
    made = await asyncio.to_thread(slicer.add, "vanishing", (6, 7), 0.5)
    await market.call("DeleteModel", models_pb2.DeleteModelRequest(name="models/vanishing"))
    started = await packs.stub.CreatePack(order("of-nothing", made, 0.5))
    ended = await packs.ended(started)
    assert ended.error.code == 5
