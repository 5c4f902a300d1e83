"""Packs whose packer, worker, slicer or disk fails in the middle."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import grpc
import pytest
from sliceandpack.packer.v1 import packs_pb2 as pb
from sliceandpack.slicer.v1 import models_pb2, models_pb2_grpc

from tests.helpers.operations_client import OperationFailedError, metadata_of
from tests.helpers.packer_process import packing_packer
from tests.helpers.packs_client import Fragment, PacksClient, parts, slow_head
from tests.helpers.processes import ServiceProcess, children_of, end
from tests.helpers.slicer import small_disk, until
from tests.helpers.stocked_slicer import StockedSlicer


@pytest.fixture(scope="module")
def killed_packer(
    slicer: StockedSlicer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServiceProcess]:
    """A packer beside the slicer that tests may kill and damage."""
    folder = tmp_path_factory.mktemp("killed")
    with packing_packer(folder, slicer.process.address).running() as process:
        yield process


@asynccontextmanager
async def client_of(process: ServiceProcess) -> AsyncIterator[PacksClient]:
    async with grpc.aio.insecure_channel(process.address) as channel:
        yield PacksClient(channel)


async def until_holders(slicer: StockedSlicer, model: str, pack: str, *, held: bool) -> None:
    async def as_wished() -> bool:
        return (pack in (await slicer.holders(model)).values()) is held

    await until(as_wished)


async def test_a_pack_holds_its_models_until_it_is_deleted(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    await packs.create("holder", slicer.named("low/zero", "mixed/three"))
    held = [(await slicer.holders(model)).values() for model in ("low", "mixed")]
    await packs.delete("holder")
    for model in ("low", "mixed"):
        await until_holders(slicer, model, "packs/holder", held=False)

    assert all("packs/holder" in holders for holders in held)


async def test_a_pack_that_failed_lets_go_of_its_models(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    started = await packs.begin("let-go", slicer.named("low/zero", "low/one"), slow_head())
    await packs.until_phase(started, "head")
    await until_holders(slicer, "low", "packs/let-go", held=True)
    await packs.cancel(started)
    await until_holders(slicer, "low", "packs/let-go", held=False)


async def test_a_killed_packer_goes_on_and_makes_one_pack(
    killed_packer: ServiceProcess, slicer: StockedSlicer
) -> None:
    names = slicer.named("low/zero", "mixed/three")
    async with client_of(killed_packer) as packs:
        started = await packs.begin("survivor", names, slow_head(200))
        await packs.until_phase(started, "head")
        await asyncio.to_thread(killed_packer.kill)
        await asyncio.to_thread(killed_packer.start)
        made = await packs.result(started)
        ended = await packs.ended(started)
        found = await packs.names()

    assert [one.fragment for one in made.fragments] == names
    assert metadata_of(ended).attempt == 2
    assert found.count("packs/survivor") == 1
    assert list((await slicer.holders("low")).values()).count("packs/survivor") == 1
    assert not list((killed_packer.folder / "state" / "scratch").iterdir())


@pytest.mark.slow
async def test_a_killed_worker_is_replaced(
    packs: PacksClient, market_packer: ServiceProcess, slicer: StockedSlicer
) -> None:
    assert market_packer.process is not None
    started = await packs.begin("again", slicer.named("low/zero", "low/one"), slow_head(200))
    await packs.until_phase(started, "head")
    [worker] = children_of(market_packer.process.pid)
    end(worker)
    made = await packs.result(started)

    assert made.name == "packs/again"
    assert metadata_of(await packs.ended(started)).attempt == 2


async def test_damaged_copies_are_read_from_the_slicer_again(
    killed_packer: ServiceProcess, slicer: StockedSlicer
) -> None:
    names = slicer.named("low/zero", "low/one")
    async with client_of(killed_packer) as packs:
        first = await packs.create("before", names)
        objects = killed_packer.folder / "state" / "artifacts" / "objects"
        for part in first.fragments:
            hexadecimal = part.graph_digest.removeprefix("sha256:")
            copy = objects / hexadecimal[:2] / hexadecimal
            copy.write_bytes(copy.read_bytes()[:-1] + b"\0")
        second = await packs.create("after", names)
        graphs = [await packs.read(pack.graph) for pack in (first, second)]

    assert graphs[0] == graphs[1]


async def test_a_full_disk_is_told_and_keeps_nothing(
    killed_packer: ServiceProcess, slicer: StockedSlicer
) -> None:
    names = slicer.named("low/two", "mixed/three")
    with small_disk(killed_packer.folder / "state" / "scratch", 8 * 1024) as mounted:
        if not mounted:
            pytest.skip("only root may mount a small file system")
        async with client_of(killed_packer) as packs:
            with pytest.raises(OperationFailedError) as failed:
                await packs.create("full", names)
            found = await packs.names()

    assert (failed.value.code, failed.value.reason) == ("RESOURCE_EXHAUSTED", "STORAGE_FULL")
    assert "packs/full" not in found
    async with client_of(killed_packer) as packs:
        assert (await packs.create("full", names)).name == "packs/full"


async def test_a_slicer_that_is_away_is_told_and_one_that_comes_back_is_waited_for(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    names = slicer.named("low/zero", "low/one")
    await asyncio.to_thread(slicer.process.kill)
    try:
        with pytest.raises(OperationFailedError) as failed:
            await packs.create("impatient", names)
        started = await packs.begin("patient", names)
        await packs.until_phase(started, "fetch")
    finally:
        await asyncio.to_thread(slicer.process.start)
    made = await packs.result(started)
    found = await packs.names()

    assert (failed.value.code, failed.value.reason) == ("UNAVAILABLE", "SLICER_UNAVAILABLE")
    assert made.name == "packs/patient"
    assert "packs/impatient" not in found


async def delete_by_force(slicer: StockedSlicer, model: str) -> None:
    async with grpc.aio.insecure_channel(slicer.process.address) as channel:
        stub = models_pb2_grpc.ModelsStub(channel)
        await stub.DeleteModel(models_pb2.DeleteModelRequest(name=f"models/{model}", force=True))


async def added(packs: PacksClient, base: pb.Pack, fragments: list[Fragment], to: str) -> pb.Pack:
    request = pb.AddClassesRequest(name=base.name, fragments=parts(fragments), pack_id=to)
    return await packs.result(await packs.stub.AddClasses(request))


async def test_a_pack_outlives_a_model_that_was_deleted_by_force(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    made = await packs.create("outlives", slicer.named("spare/four", "spare/five", "low/zero"))
    pair = await packs.create("pair", slicer.named("spare/four", "spare/five"))
    await delete_by_force(slicer, "spare")

    assert await packs.read(made.graph)
    # The lineage is the packer's own: it asks no slicer.
    lineage = await packs.stub.GetLineage(pb.GetLineageRequest(name=made.name))
    assert "models/spare" in {node.name for node in lineage.nodes}
    # So are the fragments that it was made of: further packs are made of these copies.
    request = pb.RemoveClassesRequest(name=made.name, labels=["zero"], pack_id="kept-pair")
    fewer = await packs.result(await packs.stub.RemoveClasses(request))
    assert (fewer.graph, fewer.fragments) == (pair.graph, pair.fragments)
    assert fewer.inputs == pair.inputs
    assert fewer.ensemble_parameters == pair.ensemble_parameters
    assert fewer.ensemble_macs == pair.ensemble_macs
    more = await added(packs, fewer, [*slicer.named("low/one")], "kept-more")
    assert list(more.labels) == ["four", "five", "one"]
    assert "packs/kept-more" in (await slicer.holders("low")).values()
    for pack_id in ("outlives", "pair", "kept-pair", "kept-more"):
        await packs.delete(pack_id)


async def test_a_model_that_was_made_anew_joins_the_copies_of_the_old_one(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    old = await asyncio.to_thread(slicer.add, "anew", (4, 5), 0.5)
    base = await packs.create("of-old", [*old, *slicer.named("low/zero")])
    await delete_by_force(slicer, "anew")
    new = await asyncio.to_thread(slicer.add, "anew", (4, 5), 0.7)
    both = await added(packs, base, [(new[0], "four")], "of-both")

    assert not set(old) & set(new)
    assert [one.fragment for one in both.fragments] == [*names_of(base), new[0]]
    # The slicer holds what it still has; the packer has copies of the rest.
    assert "packs/of-both" in (await slicer.holders("anew")).values()
    with pytest.raises(OperationFailedError) as failed:
        await packs.create("of-gone", [old[0], *slicer.named("low/zero")])
    assert failed.value.reason == "RESOURCE_NOT_FOUND"


def names_of(pack: pb.Pack) -> list[str]:
    return [one.fragment for one in pack.fragments]
