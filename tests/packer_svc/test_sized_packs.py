"""Packs of a size to order: a real slicer plans and slices the fragments of a real packer anew."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from sliceandpack.operation.v1.operation_events_pb2 import OperationEvent
from sliceandpack.packer.v1 import packs_pb2 as pb
from sliceandpack.slicer.v1 import fragments_pb2
from sliceandpack.slicer.v1.plans_pb2 import Recipe

from svckit.clients.operations import Operations
from svckit.clients.patience import answer
from tests.helpers.command_line import marketctl
from tests.helpers.operations_client import OperationFailedError
from tests.helpers.packs_client import Fragment, PacksClient, parts
from tests.helpers.processes import ServiceProcess
from tests.helpers.service_errors import facts, refusal_of
from tests.helpers.slicer import SlicerClient, slicer_client
from tests.helpers.stocked_slicer import StockedSlicer

WANTED = ("low/zero", "low/one", "mixed/three")


@pytest.fixture
async def market(slicer: StockedSlicer) -> AsyncIterator[SlicerClient]:
    """A client of the slicer beside the packer."""
    async with slicer_client(slicer.process.address) as client:
        yield client


def sized(
    pack_id: str, fragments: list[str] | list[Fragment], budget: pb.PackBudget
) -> pb.CreatePackRequest:
    pack = pb.Pack(fragments=parts(fragments), options=pb.PackOptions(budget=budget))
    return pb.CreatePackRequest(pack_id=pack_id, pack=pack)


async def ordered(
    packs: PacksClient, pack_id: str, fragments: list[str], budget: pb.PackBudget
) -> pb.Pack:
    return await packs.result(await packs.stub.CreatePack(sized(pack_id, fragments, budget)))


async def test_a_pack_within_a_share_of_the_macs_is_made_of_new_fragments(
    packs: PacksClient, slicer: StockedSlicer, market: SlicerClient
) -> None:
    named = slicer.named(*WANTED)
    made = await ordered(packs, "quarter", named, pb.PackBudget(macs=0.25))

    assert 0.15 * made.ensemble_macs < made.macs <= 0.25 * made.ensemble_macs
    assert list(made.labels) == ["zero", "one", "three"]
    assert made.options.budget.macs == 0.25
    new = [part.fragment for part in made.fragments]
    assert not set(new) & set(named)
    lineage = await packs.stub.GetLineage(pb.GetLineageRequest(name=made.name))
    assert [node.name for node in lineage.nodes if node.kind == "fragment"] == new
    for model in ("low", "mixed"):
        assert made.name in (await slicer.holders(model)).values()
    proof = json.loads(await packs.read(made.proof))
    told = proof["budget"]
    assert told["asked"] == {"kind": "macs", "value": 0.25}
    assert told["before"]["fragments"] == named
    assert told["after"]["fragments"] == new
    assert (told["after"]["parameters"], told["after"]["macs"]) == (made.parameters, made.macs)
    assert told["before"]["macs"] > made.macs
    summary = made.proof_summary
    assert told["before"]["accuracy"] == summary.cross_validated_accuracy_before > 0.9
    assert told["after"]["accuracy"] == summary.cross_validated_accuracy > 0.9
    # Classes of one model are cut together, at one size.
    assert [share["fragments"] for share in told["shares"]] == [new[:2], new[2:]]
    for share in told["shares"]:
        for name in share["fragments"]:
            found = await fragment_of(market, name)
            assert (share["parameters"], share["macs"]) == (found.parameters, found.macs)


async def fragment_of(market: SlicerClient, name: str) -> fragments_pb2.Fragment:
    found = await market.fragments(name.partition("/fragments/")[0])
    return next(one for one in found if one.name == name)


async def test_classes_of_a_model_become_one_trunk_that_costs_once(
    packs: PacksClient, slicer: StockedSlicer, market: SlicerClient
) -> None:
    named = slicer.named("low/two", "mixed/three", "low/zero")
    made = await ordered(packs, "with-a-trunk", named, pb.PackBudget(macs=0.5))

    assert list(made.labels) == ["two", "three", "zero"]
    two, three, zero = [await fragment_of(market, one.fragment) for one in made.fragments]
    assert [one.label for one in (two, three, zero)] == ["two", "three", "zero"]
    assert list(two.joint_labels) == list(zero.joint_labels) == ["zero", "two"]
    assert not three.joint_labels
    assert two.graph == zero.graph
    # What is cut together is paid for once, so that the order is filled.
    assert 0.4 * made.ensemble_macs < made.macs <= 0.5 * made.ensemble_macs
    assert two.macs + three.macs < made.macs < 2 * two.macs + three.macs
    told = json.loads(await packs.read(made.proof))["budget"]
    assert [one["fragments"] for one in told["shares"]] == [[two.name, zero.name], [three.name]]
    assert told["after"]["fragments"] == [two.name, three.name, zero.name]


async def test_classes_of_one_model_alone_can_be_ordered(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    named = slicer.named("low/zero", "low/one", "low/two")
    made = await ordered(packs, "all-of-one", named, pb.PackBudget(parameters=0.4))
    assert 0.2 * made.ensemble_parameters < made.parameters <= 0.4 * made.ensemble_parameters
    fewer = pb.RemoveClassesRequest(name=made.name, labels=["one"], pack_id="two-of-one")
    left = await packs.result(await packs.stub.RemoveClasses(fewer))
    assert list(left.labels) == ["zero", "two"]


async def test_two_classes_of_a_model_on_one_output_are_cut_together(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    zero, one, three = slicer.named("low/zero", "low/one", "mixed/three")
    named: list[Fragment] = [(zero, "few"), three, (one, "few")]
    made = await packs.result(
        await packs.stub.CreatePack(sized("mapped", named, pb.PackBudget(macs=0.5)))
    )
    assert list(made.labels) == ["few", "three"]
    assert made.proof_summary.top1_agreement == 1.0


async def test_classes_of_a_model_sliced_by_two_recipes_are_cut_apart(
    packs: PacksClient, slicer: StockedSlicer, market: SlicerClient
) -> None:
    plan = await market.plan("models/low", Recipe(beta=0.5, views=2))
    [other] = await market.slice(plan.name, ["one"])
    zero, three = slicer.named("low/zero", "mixed/three")
    made = await ordered(packs, "apart", [zero, other.name, three], pb.PackBudget(macs=0.5))
    found = [await fragment_of(market, one.fragment) for one in made.fragments]
    assert not any(one.joint_labels for one in found)
    assert made.macs <= 0.5 * made.ensemble_macs


async def test_a_pack_within_a_share_of_the_parameters(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    budget = pb.PackBudget(parameters=0.3)
    made = await ordered(packs, "small", slicer.named(*WANTED), budget)
    assert 0.15 * made.ensemble_parameters < made.parameters <= 0.3 * made.ensemble_parameters


async def test_a_pack_within_a_time_tells_what_its_fragments_take(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    budget = pb.PackBudget(latency_ms=50.0)
    made = await ordered(packs, "timely", slicer.named(*WANTED), budget)
    told = json.loads(await packs.read(made.proof))["budget"]
    assert 0 < sum(share["latency_ms"] for share in told["shares"]) <= 50.0
    assert {share["share"] for share in told["shares"]} == {1.0}


async def test_the_same_order_finds_the_same_fragments(
    packs: PacksClient, slicer: StockedSlicer, market: SlicerClient
) -> None:
    named = slicer.named("low/zero", "mixed/three")
    first = await ordered(packs, "first-order", named, pb.PackBudget(macs=0.4))
    again = await ordered(packs, "second-order", list(reversed(named)), pb.PackBudget(macs=0.4))
    assert {one.fragment for one in first.fragments} == {one.fragment for one in again.fragments}
    assert len({one.name for one in await market.fragments("models/low")}) == len(
        await market.fragments("models/low")
    )


async def test_classes_added_to_a_sized_pack_leave_its_fragments_and_its_budget(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    named = slicer.named("low/zero", "mixed/three")
    made = await ordered(packs, "to-grow", named, pb.PackBudget(macs=0.4))
    [further] = slicer.named("low/one")
    request = pb.AddClassesRequest(name=made.name, fragments=parts([further]), pack_id="grown")
    grown = await packs.result(await packs.stub.AddClasses(request))
    kept = [one.fragment for one in made.fragments]
    assert [one.fragment for one in grown.fragments] == [*kept, further]
    assert not grown.options.HasField("budget")
    assert "budget" not in json.loads(await packs.read(grown.proof))
    assert grown.proof_summary.cross_validated_accuracy_before == 0


async def test_two_models_classes_still_share_an_output(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    low, mixed, three = slicer.named("low/two", "mixed/two", "mixed/three")
    named: list[Fragment] = [(low, "pair"), (mixed, "pair"), three]
    request = sized("paired", named, pb.PackBudget(parameters=0.5))
    made = await packs.result(await packs.stub.CreatePack(request))
    assert list(made.labels) == ["pair", "three"]
    assert [one.label for one in made.fragments] == ["pair", "pair", "three"]


async def test_a_budget_beyond_reach_says_what_can_be_had(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    named = slicer.named("low/zero", "mixed/three")
    with pytest.raises(OperationFailedError) as caught:
        await ordered(packs, "tiny", named, pb.PackBudget(macs=0.001))
    assert (caught.value.code, caught.value.reason) == ("INVALID_ARGUMENT", "BUDGET_UNREACHABLE")
    assert "0.001 of the full originals' MACs" in str(caught.value)
    least = float(caught.value.metadata["least"])
    assert 0.001 < least < 0.2
    made = await ordered(packs, "least", named, pb.PackBudget(macs=least))
    assert made.macs <= least * made.ensemble_macs
    with pytest.raises(OperationFailedError):
        await ordered(packs, "less", named, pb.PackBudget(macs=least - 0.0005))


@pytest.mark.parametrize("field", ["parameters", "macs", "latency_ms"])
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
async def test_a_budget_that_is_no_share_and_no_time_is_refused(
    packs: PacksClient, slicer: StockedSlicer, field: str, value: float
) -> None:
    budget = pb.PackBudget()
    setattr(budget, field, value)
    request = sized("wrong", slicer.named("low/zero", "mixed/three"), budget)
    error = await refusal_of(answer(packs.stub.CreatePack(request)))
    assert facts(error) == ("INVALID_ARGUMENT", "FIELD_INVALID")
    assert [one.field for one in error.violations] == [f"pack.options.budget.{field}"]


async def test_a_budget_of_nothing_is_refused(packs: PacksClient, slicer: StockedSlicer) -> None:
    request = sized("wrong", slicer.named("low/zero", "mixed/three"), pb.PackBudget())
    error = await refusal_of(answer(packs.stub.CreatePack(request)))
    assert [one.field for one in error.violations] == ["pack.options.budget"]


async def test_one_class_named_by_two_fragments_is_refused_with_a_budget(
    packs: PacksClient, slicer: StockedSlicer, market: SlicerClient
) -> None:
    plan = await market.plan("models/low")
    [other] = await market.slice(plan.name, ["zero"])
    zero, three = slicer.named("low/zero", "mixed/three")
    if other.name == zero:
        pytest.fail("two plans made one fragment")
    named: list[Fragment] = [(zero, "nil"), (other.name, "nil"), three]
    started = await packs.stub.CreatePack(sized("twice", named, pb.PackBudget(macs=0.5)))
    with pytest.raises(OperationFailedError) as caught:
        await packs.result(started)
    assert caught.value.reason == "FRAGMENTS_DUPLICATE"


async def test_the_progress_of_a_sized_pack_goes_through_the_slicers_work(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    request = sized("watched", slicer.named(*WANTED), pb.PackBudget(macs=0.33))
    started = await packs.stub.CreatePack(request)
    events: list[OperationEvent] = []
    await Operations(packs.channel).result(started.name, pb.Pack, events.append)
    # What is written is the newest word at each half second: quick steps leave none.
    told = [one.progress for one in events if one.progress.phase in ("front", "slice")]
    assert told
    assert all(one.total == 200 for one in told)
    for phase in ("front", "slice"):
        done = [one.done for one in told if one.phase == phase]
        assert done == sorted(done)


async def test_the_command_line_orders_a_size_and_shows_what_it_cost(
    market_packer: ServiceProcess, slicer: StockedSlicer
) -> None:
    options = ("--packer", market_packer.address, "--slicer", slicer.process.address)
    named = slicer.named("low/zero", "mixed/three")
    budget = ("--budget-params", "0.4", "--id", "by-hand")
    made = await asyncio.to_thread(
        marketctl, "packs", "create", *named, *budget, *options, "-o", "json"
    )
    assert made.code == 0, made.err
    assert made.data["options"]["budget"] == {"parameters": 0.4}
    shown = await asyncio.to_thread(marketctl, "packs", "show", "by-hand", *options, COLUMNS="200")
    assert "40.0 % of the ensemble's parameters" in shown.out
    assert "cross-validated on the fragments named" in shown.out
    refused = await asyncio.to_thread(
        marketctl, "packs", "create", *named, "--budget-macs", "0.0001", *options, COLUMNS="200"
    )
    assert refused.code == 4
    assert "Ask for at least 0." in refused.err
