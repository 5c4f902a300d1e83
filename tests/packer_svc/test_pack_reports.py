"""Packs' reports, made by a real packer beside a real slicer."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc
import pytest
from sliceandpack.packer.v1 import packs_pb2 as pb
from sliceandpack.slicer.v1 import models_pb2, models_pb2_grpc

from tests.helpers.packer_process import packing_packer
from tests.helpers.packs_client import Fragment, PacksClient, parts
from tests.helpers.processes import ServiceProcess
from tests.helpers.stocked_slicer import StockedSlicer


@pytest.fixture(scope="module")
def packer(
    slicer: StockedSlicer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServiceProcess]:
    """A packer beside the slicer whose files tests may take away."""
    folder = tmp_path_factory.mktemp("reporting")
    with packing_packer(folder, slicer.process.address).running() as process:
        yield process


@pytest.fixture
async def own(packer: ServiceProcess) -> AsyncIterator[PacksClient]:
    async with grpc.aio.insecure_channel(packer.address) as channel:
        yield PacksClient(channel)


async def proof_of(packs: PacksClient, pack: pb.Pack) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(await packs.read(pack.proof))
    return found


async def added(packs: PacksClient, base: pb.Pack, fragments: list[Fragment], to: str) -> pb.Pack:
    request = pb.AddClassesRequest(name=base.name, fragments=parts(fragments), pack_id=to)
    return await packs.result(await packs.stub.AddClasses(request))


def object_of(process: ServiceProcess, digest: str) -> Path:
    hexadecimal = digest.removeprefix("sha256:")
    return process.folder / "state" / "artifacts" / "objects" / hexadecimal[:2] / hexadecimal


def forget_times(process: ServiceProcess) -> None:
    for path in (process.folder / "state" / "features").glob("*.original.json"):
        path.unlink()


async def test_a_pack_has_its_proof_as_a_page(own: PacksClient, slicer: StockedSlicer) -> None:
    made = await own.create("paged", slicer.named("low/zero", "low/one", "mixed/three"))
    page = (await own.read(made.report)).decode()
    lineage = await own.stub.GetLineage(pb.GetLineageRequest(name=made.name))

    assert len(page.encode()) == made.report.size_bytes
    assert page.startswith("<!DOCTYPE html>")
    assert "packs/paged" in page
    assert made.graph.name.removeprefix("artifacts/") in page
    assert made.report.name in lineage.nodes[0].parents
    assert made.report.name in {node.name for node in lineage.nodes}


async def test_a_proof_tells_what_its_classes_are_taken_for_and_what_its_originals_cost(
    own: PacksClient, slicer: StockedSlicer
) -> None:
    made = await own.create("told", slicer.named("low/zero", "low/one", "mixed/three"))
    proof = await proof_of(own, made)
    manifest = json.loads(await own.read(made.manifest))

    confusion = proof["confusion"]
    assert (confusion["kind"], confusion["optimistic"]) == ("head_alone", True)
    total = sum(map(sum, confusion["counts"]))
    right = sum(row[place] for place, row in enumerate(confusion["counts"]))
    assert right / total == pytest.approx(made.proof_summary.cross_validated_accuracy)
    assert len(confusion["recall"]) == 3
    assert sum(one["samples"] for one in proof["reliability"]["bins"]) == total
    assert set(manifest["head"]["report"]["cross_validation"]) == {"folds", "accuracy", "log_loss"}
    originals = proof["originals"]
    assert [one["name"] for one in originals] == ["models/low", "models/mixed"]
    assert all(one["left_out"] == "" and one["bytes"] > 0 for one in originals)
    for key in ("single_seconds", "batch_seconds"):
        assert proof["ensemble"]["run_time"][key] == pytest.approx(
            sum(one["run_time"][key] for one in originals)
        )


async def test_an_original_is_fetched_and_timed_once(
    own: PacksClient, packer: ServiceProcess, slicer: StockedSlicer
) -> None:
    names = slicer.named("low/zero", "low/one")
    first = (await proof_of(own, await own.create("timed", names)))["originals"]
    copy = object_of(packer, first[0]["graph_digest"])
    assert copy.exists()
    copy.unlink()
    again = (await proof_of(own, await own.create("timed-again", names)))["originals"]
    assert again == first
    assert not copy.exists()
    forget_times(packer)
    await own.create("timed-anew", names)
    assert copy.exists()


async def test_an_original_that_is_gone_is_left_out_and_the_report_says_why(
    own: PacksClient, packer: ServiceProcess, slicer: StockedSlicer
) -> None:
    # No other model of the slicer has its graph, which is going to be lost.
    fragments = await asyncio.to_thread(slicer.add, "passing", (4, 5), 0.5, width=5)
    base = await own.create("of-passing", [*fragments, *slicer.named("low/zero")])
    [graph] = [
        one["graph_digest"]
        for one in (await proof_of(own, base))["originals"]
        if one["name"] == "models/passing"
    ]
    async with grpc.aio.insecure_channel(slicer.process.address) as channel:
        stub = models_pb2_grpc.ModelsStub(channel)
        await stub.DeleteModel(models_pb2.DeleteModelRequest(name="models/passing", force=True))
    # While its time is kept, nobody misses the model.
    kept = await proof_of(own, await added(own, base, [*slicer.named("low/one")], "kept-time"))
    assert [one["left_out"] for one in kept["originals"]] == ["", ""]

    forget_times(packer)
    object_of(packer, graph).unlink()
    object_of(slicer.process, graph).unlink()
    made = await added(own, base, [*slicer.named("low/two")], "no-time")
    proof = await proof_of(own, made)
    gone, low = proof["originals"]
    assert (gone["name"], gone["run_time"]) == ("models/passing", None)
    assert "gone from the slicer" in gone["left_out"]
    assert low["run_time"] is not None
    assert proof["ensemble"]["run_time"] is None
    assert "gone from the slicer" in (await own.read(made.report)).decode()


async def test_a_pack_from_before_originals_were_known_can_be_changed(
    packer: ServiceProcess, slicer: StockedSlicer
) -> None:
    async with grpc.aio.insecure_channel(packer.address) as channel:
        base = await PacksClient(channel).create("older", slicer.named("low/zero", "mixed/three"))
    await asyncio.to_thread(packer.stop)
    with closing(sqlite3.connect(packer.folder / "state" / "service.db")) as database, database:
        database.execute("UPDATE packs SET report_digest = NULL, report_size = NULL")
        database.execute(
            "UPDATE pack_fragments SET model_graph_digest = NULL, model_graph_size = NULL"
        )
    await asyncio.to_thread(packer.start)
    async with grpc.aio.insecure_channel(packer.address) as channel:
        packs = PacksClient(channel)
        old = await packs.get("older")
        lineage = await packs.stub.GetLineage(pb.GetLineageRequest(name=old.name))
        made = await added(packs, old, [*slicer.named("low/one")], "newer")
        proof = await proof_of(packs, made)

    assert not old.HasField("report")
    assert base.report.name not in {node.name for node in lineage.nodes}
    assert made.HasField("report")
    # The slicer tells of low again, since a new fragment is of it; of mixed only the old pack does.
    assert [one["name"] for one in proof["originals"]] == ["models/low", "models/mixed"]
    assert [one["left_out"] == "" for one in proof["originals"]] == [True, False]
    assert made.ensemble_macs < 2 * base.ensemble_macs
