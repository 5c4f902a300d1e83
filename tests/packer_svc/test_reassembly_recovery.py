"""Reassembly whose packer dies, and what stays of what it has fetched and timed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from sliceandpack.artifact.v1.artifacts_pb2 import Artifact
from sliceandpack.packer.v1 import packs_pb2
from sliceandpack.packer.v1 import reassembly_pb2 as pb

from tests.helpers.operations_client import metadata_of
from tests.helpers.packer_process import packing_packer
from tests.helpers.packs_client import PacksClient
from tests.helpers.processes import ServiceProcess
from tests.helpers.slicer import until
from tests.helpers.stocked_slicer import StockedSlicer

REQUEST = pb.ReassembleModelRequest(
    classes=[
        pb.WantedClass(model="models/low", label="zero"),
        pb.WantedClass(model="models/mixed", label="three"),
    ],
    models=["models/low", "models/mixed"],
    budget=pb.ReassemblyBudget(latency_ms=1_000.0),
    blocks=3,
    training_steps=500,
    pack_id="survivor",
)


@pytest.fixture
def packer(slicer: StockedSlicer, tmp_path: Path) -> Iterator[ServiceProcess]:
    with packing_packer(tmp_path, slicer.process.address).running() as process:
        yield process


@contextmanager
def nothing_to_fetch(slicer: StockedSlicer) -> Iterator[None]:
    """A slicer that has all of its rows and none of its artifacts."""
    objects = slicer.process.folder / "state" / "artifacts" / "objects"
    aside = objects.with_name("aside")
    objects.rename(aside)
    objects.mkdir()
    try:
        yield
    finally:
        objects.rmdir()
        aside.rename(objects)


def times_of(packer: ServiceProcess) -> dict[str, str]:
    folder = packer.folder / "state" / "features"
    return {path.name: path.read_text() for path in folder.glob("*.original.json")}


async def test_a_killed_packer_neither_fetches_nor_times_the_models_again(
    packer: ServiceProcess, slicer: StockedSlicer
) -> None:
    async def timed() -> bool:
        return len(times_of(packer)) == len(REQUEST.models)

    async with grpc.aio.insecure_channel(packer.address) as channel:
        started = await PacksClient(channel).stub.ReassembleModel(REQUEST)
        await until(timed)
        await asyncio.to_thread(packer.kill)
    times = times_of(packer)
    with nothing_to_fetch(slicer):
        await asyncio.to_thread(packer.start)
        async with grpc.aio.insecure_channel(packer.address) as channel:
            packs = PacksClient(channel)
            made = await packs.response(started, packs_pb2.Pack)
            attempt = metadata_of(await packs.ended(started)).attempt

    assert attempt == 2
    assert made.name == "packs/survivor"
    assert times_of(packer) == times


async def test_what_a_network_is_made_of_stays_when_all_else_is_swept(
    packer: ServiceProcess, slicer: StockedSlicer
) -> None:
    request = pb.ReassembleModelRequest(classes=REQUEST.classes, blocks=3, pack_id="swept")
    objects = packer.folder / "state" / "artifacts" / "objects"

    async with grpc.aio.insecure_channel(packer.address) as channel:
        packs = PacksClient(channel)
        made = await packs.result(await packs.stub.ReassembleModel(request))
    await asyncio.to_thread(packer.stop)
    for path in objects.glob("*/*"):
        os.utime(path, (1000.0, 1000.0))
    sweeps = packer.log().count("artifacts_swept")
    await asyncio.to_thread(packer.start)

    async def swept() -> bool:
        return packer.log().count("artifacts_swept") > sweeps

    await until(swept)
    async with grpc.aio.insecure_channel(packer.address) as channel:
        packs = PacksClient(channel)
        lineage = await packs.stub.GetLineage(packs_pb2.GetLineageRequest(name=made.name))
        names = [node.name for node in lineage.nodes if node.kind == "artifact"]
        kept = [await packs.read(Artifact(name=name)) for name in names]
    assert {block.graph_digest for block in made.reassembly.blocks} <= {
        name.removeprefix("artifacts/") for name in names
    }
    assert all(kept)
