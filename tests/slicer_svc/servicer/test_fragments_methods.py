"""Fragments: slicing them, finding them again, deleting them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import numpy_helper
from sliceandpack.slicer.v1 import models_pb2 as pb
from sliceandpack.slicer.v1 import plans_pb2
from sliceandpack.slicer.v1.references_pb2 import Reference

from svckit.clients.artifacts import download
from tests.helpers.service_errors import facts, refusal_of
from tests.helpers.slicer import SLOW, SlicerClient
from tests.helpers.submissions import MLP, Submission, blobs, submission


@pytest.fixture
async def model(slicer: SlicerClient) -> AsyncIterator[pb.Model]:
    """A model that is gone after the test."""
    model = await slicer.submit(submission(MLP))
    yield model
    await slicer.call("DeleteModel", pb.DeleteModelRequest(name=model.name, force=True))


@pytest.fixture
async def plan(slicer: SlicerClient, model: pb.Model) -> plans_pb2.Plan:
    """A plan of that model."""
    return await slicer.plan(model.name)


async def test_slicing_makes_one_fragment_a_class_in_the_order_asked_for(
    slicer: SlicerClient, model: pb.Model, plan: plans_pb2.Plan
) -> None:
    labels = [model.labels[2], model.labels[0]]
    fragments = await slicer.slice(plan.name, labels)
    assert [fragment.label for fragment in fragments] == labels
    for fragment in fragments:
        assert fragment.name.startswith(f"{model.name}/fragments/")
        assert fragment.plan == plan.name
        assert (fragment.feature_width, fragment.score_width) == (8, 3)
        assert fragment.parameters == 8 * 64 + 8 + 3 * 8 + 3
        assert fragment.inputs == model.inputs
        assert 0 <= fragment.feature_error < 1
    whole = await slicer.slice(plan.name)
    assert [fragment.label for fragment in whole] == list(model.labels)


async def test_only_a_fragment_asked_for_by_name_tells_its_units(
    slicer: SlicerClient, model: pb.Model, plan: plans_pb2.Plan
) -> None:
    (sliced,) = await slicer.slice(plan.name, [model.labels[0]])
    (listed,) = await slicer.fragments(model.name)
    assert not sliced.kept_units
    assert listed == sliced
    found = await slicer.call("GetFragment", pb.GetFragmentRequest(name=sliced.name))
    (group,) = found.kept_units
    assert len(group.units) == 8
    assert sorted(set(group.units)) == list(group.units)
    assert set(group.units) <= set(range(16))


async def test_a_fragment_is_a_graph_with_features_and_scores(
    slicer: SlicerClient, model: pb.Model, plan: plans_pb2.Plan, tmp_path: Path
) -> None:
    (fragment,) = await slicer.slice(plan.name, [model.labels[1]])
    path = tmp_path / "fragment.onnx"
    await download(slicer.channel, fragment.graph.name, path)
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    x = blobs(3, 4, seed=5)["x"]
    features, scores = session.run(["features", "scores"], {"x": x})
    assert (features.shape, scores.shape) == ((12, 8), (12, 3))
    assert np.isfinite(scores).all()


async def test_the_same_plan_and_class_give_the_same_fragment_and_no_second_computation(
    slicer: SlicerClient, model: pb.Model, plan: plans_pb2.Plan
) -> None:
    first = await slicer.slice(plan.name)
    assert await slicer.slice(plan.name) == first
    # A plan that says the same, made again, leads to the same fragments too.
    again = await slicer.plan(model.name)
    assert again.name != plan.name
    assert again.document == plan.document
    assert await slicer.slice(again.name) == first
    assert len(await slicer.fragments(model.name)) == 3


async def test_a_fragment_made_again_after_its_deletion_has_its_name_and_bytes(
    slicer: SlicerClient, model: pb.Model, plan: plans_pb2.Plan
) -> None:
    (first,) = await slicer.slice(plan.name, [model.labels[0]])
    await slicer.call("DeleteFragment", pb.DeleteFragmentRequest(name=first.name))
    (second,) = await slicer.slice(plan.name, [model.labels[0]])
    assert (second.name, second.graph) == (first.name, first.graph)
    assert second.create_time.ToDatetime() > first.create_time.ToDatetime()


async def test_two_requests_for_the_same_classes_at_once_compute_them_once(
    slicer: SlicerClient, model: pb.Model
) -> None:
    plan = await slicer.plan(model.name, plans_pb2.Recipe(method=SLOW.method, views=1, steps=5))
    operations = [await slicer.start_slicing(plan.name) for _ in range(2)]
    progress: list[list[str]] = [[], []]
    results = await asyncio.gather(
        *(
            slicer.operations.result(
                operation.name,
                pb.SliceModelResponse,
                lambda event, seen=seen: seen.append(event.progress.phase),  # type: ignore[misc]
            )
            for operation, seen in zip(operations, progress, strict=True)
        )
    )
    assert results[0] == results[1]
    assert sorted("slice" in seen for seen in progress) == [False, True]


async def test_fragments_are_listed_over_all_models_and_by_label_and_plan(
    slicer: SlicerClient, model: pb.Model, plan: plans_pb2.Plan
) -> None:
    other = await slicer.submit(submission(MLP, seed=9))
    other_plan = await slicer.plan(other.name)
    mine = {fragment.name for fragment in await slicer.slice(plan.name)}
    theirs = {fragment.name for fragment in await slicer.slice(other_plan.name)}

    async def names(parent: str, query: str) -> set[str]:
        request = pb.ListFragmentsRequest(parent=parent, filter=query, page_size=2, order_by="name")
        found: list[str] = []
        while True:
            page = await slicer.call("ListFragments", request)
            found += [fragment.name for fragment in page.fragments]
            if not page.next_page_token:
                assert found == sorted(found)
                return set(found)
            request.page_token = page.next_page_token

    assert await names(model.name, "") == mine
    assert await names("models/-", "") >= mine | theirs
    assert len(await names(model.name, f'label = "{model.labels[1]}"')) == 1
    assert await names("models/-", f'plan = "{plan.name}"') == mine
    assert await names(model.name, f'plan = "{other_plan.name}"') == set()
    crossed = plan.name.replace(model.name, other.name)
    assert await names("models/-", f'plan = "{crossed}"') == set()
    await slicer.call("DeleteModel", pb.DeleteModelRequest(name=other.name))


async def test_a_fragment_that_a_pack_needs_is_not_deleted(
    slicer: SlicerClient, model: pb.Model, plan: plans_pb2.Plan
) -> None:
    held, free = await slicer.slice(plan.name, list(model.labels[:2]))
    reference = Reference(holder="packs/needy", fragments=[held.name])
    reference.expire_time.FromDatetime(datetime.now(UTC) + timedelta(hours=1))
    await slicer.call(
        "CreateReference", pb.CreateReferenceRequest(parent=model.name, reference=reference)
    )
    error = await refusal_of(
        slicer.call("DeleteFragment", pb.DeleteFragmentRequest(name=held.name))
    )
    assert facts(error) == ("FAILED_PRECONDITION", "MODEL_IN_USE")
    await slicer.call("DeleteFragment", pb.DeleteFragmentRequest(name=free.name))
    assert [fragment.name for fragment in await slicer.fragments(model.name)] == [held.name]


async def test_what_cannot_be_sliced_is_refused_at_once(
    slicer: SlicerClient, model: pb.Model, plan: plans_pb2.Plan
) -> None:
    request = pb.SliceModelRequest(name=model.name, plan=plan.name, labels=["no such class"])
    error = await refusal_of(slicer.call("SliceModel", request))
    assert facts(error) == ("INVALID_ARGUMENT", "CLASS_UNKNOWN")
    request.labels[:] = [model.labels[0]] * 2
    error = await refusal_of(slicer.call("SliceModel", request))
    assert facts(error) == ("INVALID_ARGUMENT", "FIELD_INVALID")
    request.labels[:] = []
    request.plan = "models/another/plans/p"
    error = await refusal_of(slicer.call("SliceModel", request))
    assert [violation.field for violation in error.violations] == ["plan"]
    request.plan = f"{model.name}/plans/no-such-plan"
    error = await refusal_of(slicer.call("SliceModel", request))
    assert facts(error) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")


def out_of_scale(size: float) -> Submission:
    """A classifier whose hidden values have another size, and its classifier makes up for that."""
    good = submission(MLP)
    model = onnx.load_model_from_string(good.graph)
    for tensor in model.graph.initializer:
        scale = np.float32({"w2": size, "b2": size, "w3": 1.0 / size}.get(tensor.name, 1.0))
        values = numpy_helper.to_array(tensor) * scale
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    return replace(good, graph=model.SerializeToString())


async def test_a_fragment_that_is_not_finite_is_not_kept(slicer: SlicerClient) -> None:
    # The classifier's weights are close to the largest numbers, and few units want larger ones.
    model = await slicer.submit(out_of_scale(1e-38))
    plan = await slicer.plan(model.name, plans_pb2.Recipe(beta=0.05, views=1))
    error = await refusal_of(slicer.slice(plan.name, ["blob-2"]))
    assert facts(error) == ("INVALID_ARGUMENT", "GRAPH_NOT_FINITE")
    assert error.metadata == {"label": "blob-2", "class": "2"}
    assert "'blob-2'" in error.message
    assert await slicer.fragments(model.name) == []


async def test_training_that_overflows_is_refused_with_its_layer(slicer: SlicerClient) -> None:
    # Single precision holds the hidden values, but not their squares.
    model = await slicer.submit(out_of_scale(1e25))
    trained = plans_pb2.Recipe(method=plans_pb2.METHOD_RATE, steps=3, views=1)
    plan = await slicer.plan(model.name, trained)
    error = await refusal_of(slicer.slice(plan.name))
    assert facts(error) == ("INVALID_ARGUMENT", "GRAPH_NOT_FINITE")
    assert error.metadata == {"group": plan.groups[0].group}
    # The closed form bears it.
    assert len(await slicer.slice((await slicer.plan(model.name)).name)) == 3


async def test_slicing_that_is_only_validated_makes_nothing(
    slicer: SlicerClient, model: pb.Model, plan: plans_pb2.Plan
) -> None:
    request = pb.SliceModelRequest(name=model.name, plan=plan.name, validate_only=True)
    operation = await slicer.call("SliceModel", request)
    assert operation.done
    assert operation.response.Unpack(pb.SliceModelResponse())
    assert await slicer.fragments(model.name) == []
