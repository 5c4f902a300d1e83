"""Plans and fragments that read samples of the market's other models."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sliceandpack.operation.v1.operation_events_pb2 import OperationEvent
from sliceandpack.slicer.v1 import models_pb2 as pb
from sliceandpack.slicer.v1 import plans_pb2
from sliceandpack.slicer.v1.plans_pb2 import Recipe

from svckit.clients.artifacts import download
from tests.helpers.processes import ServiceProcess
from tests.helpers.slicer import SlicerClient, until
from tests.helpers.submissions import CNN, MLP, Submission, picture, submission

Submit = Callable[[Submission], Awaitable[pb.Model]]
HALF = Recipe(beta=0.5, views=2)
MAXIMUM = 1.25
"""No other test declares this range: what is read here was submitted here."""


def of_blobs(
    text: str = CNN, *, seed: int = 0, classes: int = 3, maximum: float = MAXIMUM
) -> Submission:
    spec = picture()
    spec.image.value_range.maximum = maximum
    return replace(submission(text, seed=seed, classes=classes), inputs=[spec])


@pytest.fixture
async def submit(slicer: SlicerClient) -> AsyncIterator[Submit]:
    """Submits models to a market of their own; they are gone after the test."""
    names: list[str] = []

    async def submitted(sent: Submission) -> pb.Model:
        model = await slicer.submit(sent)
        names.append(model.name)
        return model

    yield submitted
    for name in names:
        await delete(slicer, name)


async def delete(slicer: SlicerClient, name: str) -> None:
    await slicer.call("DeleteModel", pb.DeleteModelRequest(name=name))


def measured(events: list[OperationEvent]) -> bool:
    return any(event.progress.phase in ("measure", "curves") for event in events)


async def test_a_fragment_reads_another_model_and_comes_out_the_same_when_that_is_gone(
    slicer: SlicerClient, submit: Submit, tmp_path: Path
) -> None:
    model = await submit(of_blobs())
    other = await slicer.submit(of_blobs(seed=1, classes=4))
    alone = await slicer.plan(model.name, Recipe(beta=0.5, views=2, own_samples_only=True))
    assert alone.recipe.own_samples_only
    assert not alone.HasField("other_samples")
    plan = await slicer.plan(model.name, HALF)
    assert not plan.recipe.own_samples_only
    assert list(plan.other_samples.models) == [other.name]
    assert plan.other_samples.sample_count == other.sample_count == 32
    (without,) = await slicer.slice(alone.name, [model.labels[0]])
    (first,) = await slicer.slice(plan.name, [model.labels[0]])
    assert first.graph != without.graph

    await delete(slicer, other.name)
    await slicer.call("DeleteFragment", pb.DeleteFragmentRequest(name=first.name))
    (again,) = await slicer.slice(plan.name, [model.labels[0]])
    assert (again.name, again.graph) == (first.name, first.graph)
    await download(slicer.channel, plan.other_samples.inputs.name, tmp_path / "read.npz")
    with np.load(tmp_path / "read.npz") as arrays:
        assert {name: arrays[name].shape for name in arrays} == {"x": (32, 1, 8, 8)}


async def test_a_plan_for_another_budget_measures_nothing_and_reads_the_same_whoever_comes(
    slicer: SlicerClient, submit: Submit
) -> None:
    model, other = await submit(of_blobs()), await submit(of_blobs(seed=1))
    first = await slicer.plan(model.name, HALF)
    assert list(first.other_samples.models) == [other.name]
    await submit(of_blobs(seed=2))
    events: list[OperationEvent] = []
    second = await slicer.plan(model.name, Recipe(budget_macs=0.6, views=2), events.append)
    assert not measured(events)
    assert second.other_samples == first.other_samples


async def test_the_first_model_of_a_market_is_measured_once_more_when_others_are_there(
    slicer: SlicerClient, submit: Submit
) -> None:
    model = await submit(of_blobs())
    first = await slicer.plan(model.name, HALF)
    assert not first.HasField("other_samples")
    other = await submit(of_blobs(seed=1))
    found: dict[str, plans_pb2.Plan] = {}
    events: dict[str, list[OperationEvent]] = {}
    for name, recipe in (
        ("with others", HALF),
        ("again", HALF),
        ("alone", Recipe(beta=0.5, views=2, own_samples_only=True)),
    ):
        found[name] = await slicer.plan(model.name, recipe, events.setdefault(name, []).append)
    assert list(found["with others"].other_samples.models) == [other.name]
    assert found["again"].other_samples == found["with others"].other_samples
    assert {name: measured(seen) for name, seen in events.items()} == {
        "with others": True,
        "again": False,
        "alone": False,
    }


async def test_models_of_another_range_and_of_the_same_samples_are_not_read(
    slicer: SlicerClient, submit: Submit
) -> None:
    model = await submit(of_blobs())
    await submit(of_blobs(seed=1, maximum=1.5))
    twin = await submit(of_blobs(MLP))
    assert twin.samples == model.samples
    plan = await slicer.plan(model.name, HALF)
    assert not plan.HasField("other_samples")


async def test_the_papers_methods_read_the_models_own_samples(
    slicer: SlicerClient, submit: Submit
) -> None:
    model = await submit(of_blobs(MLP))
    await submit(of_blobs(MLP, seed=1))
    recipe = Recipe(method=plans_pb2.METHOD_RATE, beta=0.5, views=1, steps=1)
    assert not (await slicer.plan(model.name, recipe)).HasField("other_samples")


async def test_a_slicer_killed_while_it_measures_ends_with_samples_that_slicing_finds(
    slicer: SlicerClient, slicer_server: ServiceProcess, submit: Submit
) -> None:
    model, other = await submit(of_blobs()), await submit(of_blobs(seed=1))
    request = pb.CreatePlanRequest(parent=model.name)
    request.plan.recipe.CopyFrom(Recipe(beta=0.5, views=16))
    operation = await slicer.call("CreatePlan", request)

    async def measuring() -> bool:
        found = await slicer.operations.get(operation.name)
        assert not found.done, "the plan was made too soon"
        return b"measure" in found.metadata.value

    await until(measuring)
    slicer_server.kill()
    slicer_server.start()
    plan = await slicer.operations.result(operation.name, plans_pb2.Plan)
    assert list(plan.other_samples.models) == [other.name]
    assert len(await slicer.slice(plan.name, [model.labels[0]])) == 1
