"""Fragments of classes that are cut together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sliceandpack.operation.v1.operation_events_pb2 import OperationEvent
from sliceandpack.slicer.v1 import models_pb2 as pb

from svckit.clients.artifacts import download
from tests.helpers.processes import ServiceProcess
from tests.helpers.service_errors import facts, refusal_of
from tests.helpers.slicer import SLOW, SlicerClient, runs, scratch_of, until, workers_of
from tests.helpers.submissions import MLP, submission


@pytest.fixture
async def model(slicer: SlicerClient) -> AsyncIterator[pb.Model]:
    """A model that is gone after the test."""
    model = await slicer.submit(submission(MLP))
    yield model
    await slicer.call("DeleteModel", pb.DeleteModelRequest(name=model.name, force=True))


@pytest.fixture
async def plan(slicer: SlicerClient, model: pb.Model) -> str:
    """The name of a plan of that model."""
    return (await slicer.plan(model.name)).name


async def test_classes_cut_together_have_fragments_of_their_own_and_one_graph(
    slicer: SlicerClient, model: pb.Model, plan: str
) -> None:
    labels = [model.labels[2], model.labels[0]]
    fragments = await slicer.slice(plan, labels, joint=True)
    assert [one.label for one in fragments] == labels
    assert len({one.name for one in fragments}) == 2
    assert len({one.graph.name for one in fragments}) == 1
    assert all(list(one.joint_labels) == sorted(labels) for one in fragments)
    apart = await slicer.slice(plan, labels)
    assert not {one.name for one in apart} & {one.name for one in fragments}
    assert not {one.graph.name for one in apart} & {one.graph.name for one in fragments}
    assert not any(one.joint_labels for one in apart)
    found = await slicer.call("GetFragment", pb.GetFragmentRequest(name=fragments[0].name))
    assert (found.joint_labels, len(found.kept_units)) == (fragments[0].joint_labels, 1)


async def test_the_same_set_of_classes_is_cut_once_whatever_its_order(
    slicer: SlicerClient, model: pb.Model, plan: str
) -> None:
    first = await slicer.slice(plan, list(model.labels), joint=True)
    assert await slicer.slice(plan, joint=True) == first
    assert await slicer.slice(plan, list(model.labels)[::-1], joint=True) == first[::-1]
    assert len(await slicer.fragments(model.name)) == 3


async def test_so_many_classes_are_cut_together_that_no_file_could_be_named_after_all(
    slicer: SlicerClient,
) -> None:
    many = submission(MLP, classes=120, width=64, per_class=2)
    model = await slicer.submit(many)
    plan = await slicer.plan(model.name)
    fragments = await slicer.slice(plan.name, joint=True)
    assert [one.label for one in fragments] == list(model.labels)
    assert len({one.graph.name for one in fragments}) == 1
    await slicer.call("DeleteModel", pb.DeleteModelRequest(name=model.name, force=True))


async def test_another_set_makes_other_fragments(
    slicer: SlicerClient, model: pb.Model, plan: str
) -> None:
    whole = await slicer.slice(plan, joint=True)
    some = await slicer.slice(plan, list(model.labels[:2]), joint=True)
    assert not {one.name for one in whole} & {one.name for one in some}
    assert list(some[0].joint_labels) == list(model.labels[:2])


async def test_one_class_together_with_none_is_sliced_as_ever(
    slicer: SlicerClient, model: pb.Model, plan: str
) -> None:
    (joint,) = await slicer.slice(plan, [model.labels[1]], joint=True)
    assert await slicer.slice(plan, [model.labels[1]]) == [joint]
    assert not joint.joint_labels


async def test_a_fragment_that_comes_back_shares_the_others_graph(
    slicer: SlicerClient, model: pb.Model, plan: str
) -> None:
    first = await slicer.slice(plan, joint=True)
    await slicer.call("DeleteFragment", pb.DeleteFragmentRequest(name=first[1].name))
    seen: list[OperationEvent] = []
    operation = await slicer.start_slicing(plan, joint=True)
    response = await slicer.operations.result(operation.name, pb.SliceModelResponse, seen.append)
    assert [one.name for one in response.fragments] == [one.name for one in first]
    assert response.fragments[1].graph == first[0].graph
    assert response.fragments[1].parameters == first[1].parameters
    # Nothing was computed for it.
    assert "slice" not in [event.progress.phase for event in seen]


async def test_a_graph_can_be_read_for_as_long_as_one_fragment_has_it(
    slicer: SlicerClient, model: pb.Model, plan: str, tmp_path: Path
) -> None:
    first = await slicer.slice(plan, joint=True)
    for one in first[:2]:
        await slicer.call("DeleteFragment", pb.DeleteFragmentRequest(name=one.name))
    path = tmp_path / "trunk.onnx"
    await download(slicer.channel, first[2].graph.name, path)
    assert path.stat().st_size == first[2].graph.size_bytes
    assert await slicer.fragments(model.name) == [first[2]]


async def test_a_killed_slicer_cuts_all_classes_or_none(
    slicer: SlicerClient, slicer_server: ServiceProcess, model: pb.Model
) -> None:
    plan = (await slicer.plan(model.name, SLOW)).name
    operation = await slicer.start_slicing(plan, joint=True)
    begun = asyncio.Event()

    def watch(event: OperationEvent) -> None:
        if event.progress.phase == "slice":
            begun.set()

    watching = asyncio.create_task(
        slicer.operations.result(operation.name, pb.SliceModelResponse, watch)
    )
    await begun.wait()
    workers = workers_of(slicer_server)
    slicer_server.kill()

    async def gone() -> bool:
        return not any(map(runs, workers))

    await until(gone)
    slicer_server.start()
    assert len(await slicer.fragments(model.name)) in (0, len(model.labels))
    async with asyncio.timeout(100):
        response = await watching
    assert [one.label for one in response.fragments] == list(model.labels)
    assert len({one.graph.name for one in response.fragments}) == 1
    assert await slicer.slice(plan, joint=True) == list(response.fragments)
    assert scratch_of(slicer_server) == []


async def test_unknown_and_repeated_classes_are_refused(
    slicer: SlicerClient, model: pb.Model, plan: str
) -> None:
    error = await refusal_of(slicer.slice(plan, ["no such class"], joint=True))
    assert facts(error) == ("INVALID_ARGUMENT", "CLASS_UNKNOWN")
    error = await refusal_of(slicer.slice(plan, [model.labels[0]] * 2, joint=True))
    assert facts(error) == ("INVALID_ARGUMENT", "FIELD_INVALID")
