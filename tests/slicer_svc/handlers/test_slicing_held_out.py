"""Slicing with a fold held out: as if its samples had never been sent, and nothing is kept."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from sliceandpack.operation.v1.operation_events_pb2 import OperationEvent
from sliceandpack.slicer.v1 import models_pb2 as pb
from sliceandpack.slicer.v1 import plans_pb2
from sliceandpack.slicer.v1.fragments_pb2 import Fragment
from sliceandpack.slicer.v1.plans_pb2 import Recipe

from svckit.dealing import held_out, sample_digests
from svckit.folds import Fold
from tests.helpers.processes import ServiceProcess
from tests.helpers.service_errors import facts, refusal_of
from tests.helpers.slicer import SLOW, SlicerClient, scratch_of, until
from tests.helpers.submissions import MLP, Submission, npz, picture, submission

MAXIMUM = 1.75
"""No other test declares this range: what is read here was submitted here."""
FOLD = Fold(index=1, folds=4, seed=7)
RECIPES = {
    "closed form": Recipe(beta=0.5, views=2),
    "budget": Recipe(budget_macs=0.5, views=2, block=1),
    "paper": Recipe(method=plans_pb2.METHOD_RATE, beta=0.5, views=1, steps=2),
}


def sent(*, seed: int = 0) -> Submission:
    spec = picture()
    spec.image.value_range.maximum = MAXIMUM
    return replace(submission(MLP, seed=seed), inputs=[spec])


def without(one: Submission, fold: Fold) -> Submission:
    """The same model with the samples outside of a fold alone."""
    with np.load(io.BytesIO(one.samples)) as arrays:
        found: dict[str, NDArray[np.generic]] = {name: arrays[name] for name in arrays.files}
    labels = found.pop("labels").astype(np.int64)
    left = ~held_out(labels, sample_digests(found), fold)
    assert 0 < left.sum() < len(left)
    kept = {name: array[left] for name, array in found.items()}
    return replace(one, samples=npz({**kept, "labels": labels[left]}))


@pytest.fixture
async def market(slicer: SlicerClient) -> AsyncIterator[SlicerClient]:
    """The slicer, which is without models of this file's range before and afterwards."""
    yield slicer
    listed = await slicer.call("ListModels", pb.ListModelsRequest(page_size=1000))
    for model in listed.models:
        if model.inputs[0].image.value_range.maximum == MAXIMUM:
            await slicer.call("DeleteModel", pb.DeleteModelRequest(name=model.name, force=True))


def request_of(
    plan: plans_pb2.Plan, labels: Sequence[str] = (), request_id: str = ""
) -> pb.SliceModelRequest:
    model = plan.name.partition("/plans/")[0]
    fold = pb.Fold(index=FOLD.index, folds=FOLD.folds, seed=FOLD.seed)
    return pb.SliceModelRequest(
        name=model, plan=plan.name, labels=labels, held_out=fold, request_id=request_id
    )


async def anew(slicer: SlicerClient, plan: plans_pb2.Plan, *labels: str) -> list[Fragment]:
    operation = await slicer.call("SliceModel", request_of(plan, labels))
    response = await slicer.operations.result(operation.name, pb.SliceModelResponse)
    return list(response.fragments)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
async def test_a_fragment_is_that_of_a_model_sent_without_the_fold(
    market: SlicerClient, recipe: Recipe
) -> None:
    whole = await market.submit(sent())
    plan = await market.plan(whole.name, recipe)
    # What was measured on all samples is kept with the model, and must not be read.
    (seen,) = await market.slice(plan.name, [whole.labels[0]])
    (found,) = await anew(market, plan, whole.labels[0])
    await market.call("DeleteModel", pb.DeleteModelRequest(name=whole.name))
    fewer = await market.submit(without(sent(), FOLD))
    (expected,) = await market.slice(
        (await market.plan(fewer.name, recipe)).name, [whole.labels[0]]
    )

    assert found.graph == expected.graph
    assert found.graph != seen.graph
    assert (found.name, found.plan, found.label) == ("", plan.name, whole.labels[0])
    assert (found.parameters, found.macs) == (expected.parameters, expected.macs)


async def test_samples_of_other_models_in_the_fold_are_left_out_too(market: SlicerClient) -> None:
    whole, other = await market.submit(sent()), await market.submit(sent(seed=1))
    plan = await market.plan(whole.name, RECIPES["closed form"])
    assert list(plan.other_samples.models) == [other.name]
    (found,) = await anew(market, plan, whole.labels[1])
    for model in (whole, other):
        await market.call("DeleteModel", pb.DeleteModelRequest(name=model.name))
    fewer = await market.submit(without(sent(), FOLD))
    await market.submit(without(sent(seed=1), FOLD))
    again = await market.plan(fewer.name, RECIPES["closed form"])
    (expected,) = await market.slice(again.name, [whole.labels[1]])

    assert again.other_samples.sample_count < plan.other_samples.sample_count
    assert found.graph == expected.graph


async def test_nothing_is_listed_afterwards_and_the_graph_can_be_read(
    market: SlicerClient, slicer_server: ServiceProcess
) -> None:
    model = await market.submit(sent())
    plan = await market.plan(model.name)
    found = await anew(market, plan)
    plans = await market.call("ListPlans", pb.ListPlansRequest(parent=model.name))

    assert [one.label for one in found] == list(model.labels)
    assert await market.fragments(model.name) == []
    assert [one.name for one in plans.plans] == [plan.name]
    objects = slicer_server.folder / "state" / "artifacts" / "objects"
    for one in found:
        digest = one.graph.name.rpartition(":")[2]
        assert (objects / digest[:2] / digest).stat().st_size == one.graph.size_bytes
    assert scratch_of(slicer_server) == []


async def test_the_same_request_slices_once(market: SlicerClient) -> None:
    model = await market.submit(sent())
    plan = await market.plan(model.name)
    request = request_of(plan, model.labels[:1], request_id=f"held-out {plan.name}")
    first, second = [await market.call("SliceModel", request) for _ in range(2)]
    assert first.name == second.name


async def test_cancelled_in_the_middle_nothing_is_left(
    market: SlicerClient, slicer_server: ServiceProcess
) -> None:
    model = await market.submit(sent())
    plan = await market.plan(model.name, Recipe(method=SLOW.method, views=1, steps=2_000))
    events: list[OperationEvent] = []
    operation = await market.call("SliceModel", request_of(plan))

    async def slicing() -> bool:
        found = await market.operations.get(operation.name)
        return b"slice" in found.metadata.value

    await until(slicing)
    await market.operations.cancel(operation.name)
    error = await refusal_of(
        market.operations.result(operation.name, pb.SliceModelResponse, events.append)
    )
    assert facts(error) == ("CANCELLED", "CANCELLED")
    assert await market.fragments(model.name) == []
    assert scratch_of(slicer_server) == []


@pytest.mark.parametrize(
    ("fold", "field"),
    [
        (pb.Fold(folds=1), "held_out.folds"),
        (pb.Fold(folds=21), "held_out.folds"),
        (pb.Fold(index=5, folds=5), "held_out.index"),
        (pb.Fold(index=-1, folds=5), "held_out.index"),
        (pb.Fold(folds=5, seed=-1), "held_out.seed"),
        (pb.Fold(), "held_out.folds"),
    ],
)
async def test_a_fold_that_there_is_not_is_refused(
    market: SlicerClient, fold: pb.Fold, field: str
) -> None:
    request = pb.SliceModelRequest(name="models/m", plan="models/m/plans/p", held_out=fold)
    error = await refusal_of(market.call("SliceModel", request))
    assert error.code.name == "INVALID_ARGUMENT"
    assert [one.field for one in error.violations] == [field]
