"""Packs that are sliced anew, whose packer or slicer fails in the middle of that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import grpc
import pytest
from google.longrunning import operations_pb2, operations_pb2_grpc
from sliceandpack.operation.v1 import operation_events_pb2 as events_pb
from sliceandpack.operation.v1 import operation_events_pb2_grpc
from sliceandpack.packer.v1 import packs_pb2 as pb
from sliceandpack.slicer.v1 import models_pb2, models_pb2_grpc, plans_pb2

from tests.helpers.digit_models import digit_model
from tests.helpers.market_client import SlicerStubs
from tests.helpers.operations_client import OperationFailedError, metadata_of
from tests.helpers.packer_process import packing_packer
from tests.helpers.packs_client import PacksClient, parts
from tests.helpers.processes import ServiceProcess
from tests.helpers.slicer import slicer_process, until

FOLDS = 5
MODEL = "slow"


@pytest.fixture(scope="module")
def slow_slicer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """A slicer that tests may stop, with a model whose folds take about a second each."""
    with slicer_process(tmp_path_factory.mktemp("slow-slicer")) as process:
        yield process


@pytest.fixture(scope="module")
def fragments(slow_slicer: ServiceProcess) -> list[str]:
    with grpc.insecure_channel(slow_slicer.address) as channel:
        slicer = SlicerStubs(channel)
        model = slicer.submit(MODEL, digit_model((0, 1, 2), width=4))
        recipe = plans_pb2.Recipe(
            method=plans_pb2.METHOD_RATE, beta=0.5, views=1, steps=15, own_samples_only=True
        )
        return slicer.slice(MODEL, slicer.plan(MODEL, recipe).name, model.labels[:2])


@pytest.fixture(scope="module")
def own_market_packer(
    slow_slicer: ServiceProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServiceProcess]:
    folder = tmp_path_factory.mktemp("judging")
    with packing_packer(folder, slow_slicer.address).running() as process:
        yield process


@pytest.fixture
async def judging(own_market_packer: ServiceProcess) -> AsyncIterator[PacksClient]:
    async with grpc.aio.insecure_channel(own_market_packer.address) as channel:
        yield PacksClient(channel)


async def begun(packs: PacksClient, pack_id: str, fragments: list[str]) -> operations_pb2.Operation:
    """A pack whose first fold is being sliced."""
    pack = pb.Pack(fragments=parts(fragments))
    pack.options.evaluation = pb.EVALUATION_KIND_SLICED_ANEW
    started = await packs.stub.CreatePack(pb.CreatePackRequest(pack_id=pack_id, pack=pack))
    async with asyncio.timeout(60):
        operation = started
        while metadata_of(operation).progress.done < 1:
            assert not operation.done, operation
            await asyncio.sleep(0.05)
            operation = await packs.look(operation)
    return started


async def slicing_states(slicer: ServiceProcess) -> list[tuple[str, bool]]:
    """Of every slicing the slicer was ever asked for, its state, and whether it is over."""
    async with grpc.aio.insecure_channel(slicer.address) as channel:
        stub: operations_pb2_grpc.OperationsStub = operations_pb2_grpc.OperationsStub(channel)
        request = operations_pb2.ListOperationsRequest(name="operations", page_size=1000)
        found = (await stub.ListOperations(request)).operations
    told = [(metadata_of(one), one.done) for one in found]
    return [
        (events_pb.State.Name(metadata.state), done)
        for metadata, done in told
        if metadata.kind == "SliceModel"
    ]


async def all_over(slicer: ServiceProcess) -> bool:
    return all(done for _, done in await slicing_states(slicer))


async def kept_by(slicer: ServiceProcess) -> tuple[int, int]:
    """How many plans and fragments the slicer has."""
    async with grpc.aio.insecure_channel(slicer.address) as channel:
        stub: models_pb2_grpc.ModelsAsyncStub = models_pb2_grpc.ModelsStub(channel)
        parent = f"models/{MODEL}"
        plans = await stub.ListPlans(models_pb2.ListPlansRequest(parent=parent))
        listed = await stub.ListFragments(models_pb2.ListFragmentsRequest(parent=parent))
    return len(plans.plans), len(listed.fragments)


async def test_progress_counts_fragments_over_all_folds_and_judges_the_rest(
    judging: PacksClient, fragments: list[str]
) -> None:
    started = await begun(judging, "counted", fragments)
    stub = operation_events_pb2_grpc.OperationEventsStub(judging.channel)
    seen = [
        event.progress
        async for event in stub.WatchOperation(
            events_pb.WatchOperationRequest(name=started.name), timeout=60
        )
        if event.progress.phase == "evaluation"
    ]
    pack = await judging.result(started)
    total = FOLDS * len(fragments)

    assert {progress.total for progress in seen} == {total}
    done = [progress.done for progress in seen]
    assert done == sorted(done)
    assert max(done) > total // 2
    assert {progress.layer for progress in seen} <= {f"fold {n} of 5" for n in range(1, 6)}
    assert any(progress.eta_seconds > 0 for progress in seen)
    assert pack.proof_summary.evaluation.kind == pb.EVALUATION_KIND_SLICED_ANEW


async def test_a_cancelled_evaluation_ends_the_slicing_too(
    judging: PacksClient, slow_slicer: ServiceProcess, fragments: list[str]
) -> None:
    started = await begun(judging, "given-up", fragments)
    await judging.cancel(started)
    with pytest.raises(OperationFailedError) as refused:
        async with asyncio.timeout(10):
            await judging.result(started)
    await until(lambda: all_over(slow_slicer), 10)

    assert refused.value.code == "CANCELLED"
    assert "STATE_CANCELLED" in {state for state, _ in await slicing_states(slow_slicer)}
    assert await kept_by(slow_slicer) == (1, 2)
    assert "packs/given-up" not in await judging.names()


async def test_a_killed_packer_asks_for_no_fold_twice(
    own_market_packer: ServiceProcess, slow_slicer: ServiceProcess, fragments: list[str]
) -> None:
    before = len(await slicing_states(slow_slicer))
    async with grpc.aio.insecure_channel(own_market_packer.address) as channel:
        packs = PacksClient(channel)
        started = await begun(packs, "survivor", fragments)
        await asyncio.to_thread(own_market_packer.kill)
        await asyncio.to_thread(own_market_packer.start)
        pack = await packs.result(started)
        attempts = metadata_of(await packs.ended(started)).attempt

    assert attempts == 2
    assert pack.proof_summary.evaluation.samples == 40
    assert len(await slicing_states(slow_slicer)) == before + FOLDS
    assert await kept_by(slow_slicer) == (1, 2)
    assert not list((own_market_packer.folder / "state" / "scratch").iterdir())


@pytest.mark.slow
async def test_a_packer_that_is_stopped_leaves_the_slicing_to_the_next_one(
    own_market_packer: ServiceProcess, slow_slicer: ServiceProcess, fragments: list[str]
) -> None:
    async with grpc.aio.insecure_channel(own_market_packer.address) as channel:
        packs = PacksClient(channel)
        started = await begun(packs, "handed-on", fragments)
        cancelled = [state for state, _ in await slicing_states(slow_slicer)].count(
            "STATE_CANCELLED"
        )
        await asyncio.to_thread(own_market_packer.stop)
        await asyncio.to_thread(own_market_packer.start)
        pack = await packs.result(started)

    assert pack.proof_summary.evaluation.samples == 40
    states = [state for state, _ in await slicing_states(slow_slicer)]
    assert states.count("STATE_CANCELLED") == cancelled


@pytest.mark.slow
async def test_a_slicer_that_restarts_in_the_middle_goes_on(
    judging: PacksClient, slow_slicer: ServiceProcess, fragments: list[str]
) -> None:
    started = await begun(judging, "restarted", fragments)
    await asyncio.to_thread(slow_slicer.kill)
    await asyncio.to_thread(slow_slicer.start)
    pack = await judging.result(started)

    assert pack.proof_summary.evaluation.samples == 40
    assert await kept_by(slow_slicer) == (1, 2)


@pytest.mark.slow
async def test_a_slicer_that_stays_away_ends_it_as_unavailable(
    judging: PacksClient, slow_slicer: ServiceProcess, fragments: list[str]
) -> None:
    started = await begun(judging, "left-alone", fragments)
    await asyncio.to_thread(slow_slicer.kill)
    try:
        with pytest.raises(OperationFailedError) as refused:
            await judging.result(started)
    finally:
        await asyncio.to_thread(slow_slicer.start)

    assert (refused.value.code, refused.value.reason) == ("UNAVAILABLE", "SLICER_UNAVAILABLE")
    assert "packs/left-alone" not in await judging.names()
