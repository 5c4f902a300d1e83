"""Finding models and classes by specifications and by samples."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np
import pytest
from sliceandpack.artifact.v1 import artifacts_pb2
from sliceandpack.slicer.v1 import models_pb2, search_pb2_grpc
from sliceandpack.slicer.v1 import search_pb2 as pb

from specification.codec import from_bytes, to_bytes
from svckit.clients.artifacts import upload
from svckit.clients.patience import answer
from tests.helpers.processes import ServiceProcess
from tests.helpers.service_errors import facts, refusal_of
from tests.helpers.slicer import SlicerClient, slicer_client, slicer_process
from tests.helpers.submissions import CNN, MLP, blobs, npz, picture, submission
from tests.helpers.tasks import blob_task, noise, specified, table_task

NAMES = ("north", "east", "west")


class Market(SlicerClient):
    """A slicer with a few models, and its search."""

    async def models_for(self, task: pb.Task, **wanted: Any) -> pb.SearchModelsResponse:
        stub = search_pb2_grpc.SearchStub(self.channel)
        return await answer(stub.SearchModels(pb.SearchModelsRequest(task=task, **wanted)))

    async def classes_for(self, task: pb.Task, **wanted: Any) -> pb.SearchClassesResponse:
        stub = search_pb2_grpc.SearchStub(self.channel)
        return await answer(stub.SearchClasses(pb.SearchClassesRequest(task=task, **wanted)))

    async def read(self, name: str) -> bytes:
        call = self.artifacts.Read(artifacts_pb2.ReadRequest(name=name))
        return b"".join([chunk.data async for chunk in call])

    async def samples(self, arrays: dict[str, Any], **more: Any) -> pb.Task:
        """Uploads samples; returns the task that they tell of."""
        more.setdefault("inputs", [picture()])
        sent = await upload(self.channel, npz(arrays))
        return pb.Task(samples=pb.TaskSamples(samples=sent, **more))


@pytest.fixture(scope="module")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    with slicer_process(tmp_path_factory.mktemp("market")) as process:
        yield process


@pytest.fixture
async def market(stocked: ServiceProcess) -> AsyncIterator[Market]:
    """Models of three and of two blobs, the latter twice, with the same weights."""
    async with slicer_client(stocked.address) as client:
        found = Market(client.channel)
        there = await found.call("ListModels", models_pb2.ListModelsRequest())
        if not there.models:
            await found.submit(submission(CNN, classes=3, per_class=16), "three")
            for name in ("twin-b", "twin-a"):
                await found.submit(submission(MLP, classes=2, per_class=16), name)
        yield found


async def test_every_class_finds_the_class_that_knows_it(market: Market) -> None:
    found = await market.classes_for(blob_task(NAMES))
    assert [one.label for one in found.classes] == list(NAMES)
    chosen = [one.found[0] for one in found.classes]
    assert {(one.model, one.model_label) for one in chosen[1:]} == {
        ("models/three", "blob-1"),
        ("models/three", "blob-2"),
    }
    assert chosen[0].model_label == "blob-0"
    assert found.fits
    assert all(one.fits and one.reason and 0.0 < one.score <= 1.0 for one in chosen)
    assert found.compared_count == 3


async def test_no_class_of_a_model_is_found_for_two_classes(market: Market) -> None:
    arrays = blobs(2, 24, 9)
    # Two names for the same blob.
    one = arrays["labels"] == 0
    same = {"x": arrays["x"][one], "labels": np.arange(one.sum()) % 2}
    found = await market.classes_for(pb.Task(specification=to_bytes(specified(same, "ab"))))
    chosen = [(one.found[0].model, one.found[0].model_label) for one in found.classes]
    assert len(set(chosen)) == 2


async def test_models_of_the_same_weights_are_both_told_in_the_order_of_their_names(
    market: Market,
) -> None:
    found = await market.models_for(blob_task(("up", "down")))
    twins = [model for model in found.models if model.model.startswith("models/twin")]
    assert [model.model for model in twins] == ["models/twin-a", "models/twin-b"]
    assert twins[0].score == twins[1].score
    assert found.models[0] == twins[0]
    assert found.fits
    assert {one.label: one.model_label for one in twins[0].classes} == {
        "up": "blob-0",
        "down": "blob-1",
    }


async def test_samples_find_what_their_specification_finds(market: Market) -> None:
    task = await market.samples(blobs(3, 12, 7), labels=NAMES)
    assert await market.classes_for(task) == await market.classes_for(blob_task(NAMES))


async def test_labels_without_names_are_called_by_their_numbers(market: Market) -> None:
    arrays = blobs(3, 12, 7)
    arrays["labels"] = arrays["labels"] + 40
    found = await market.classes_for(await market.samples(arrays))
    assert [one.label for one in found.classes] == ["40", "41", "42"]


async def test_inputs_that_are_left_out_are_plain_numbers(market: Market) -> None:
    rows = np.random.default_rng(0).normal(size=(36, 4)).astype(np.float32)
    arrays = {"row": rows, "labels": np.arange(36) % 3}
    found = await market.classes_for(await market.samples(arrays, inputs=[]))
    assert (found.fits, found.compared_count) == (False, 0)
    assert "tensor" in found.reason


async def test_samples_without_classes_find_models(market: Market) -> None:
    arrays = blobs(3, 12, 7)
    del arrays["labels"]
    found = await market.models_for(await market.samples(arrays))
    assert found.models[0].model == "models/three"
    assert len(found.models) == 3
    assert not found.models[0].classes


async def test_a_models_own_specification_finds_the_model(market: Market) -> None:
    model = await market.call("GetModel", models_pb2.GetModelRequest(name="models/three"))
    task = pb.Task(stored_specification=model.specification.artifact)
    found = await market.classes_for(task, limit=1)
    assert {one.found[0].model for one in found.classes} == {"models/three"}
    assert all(one.found[0].label == one.found[0].model_label for one in found.classes)
    assert found.fits


async def test_what_no_model_knows_fits_nothing(market: Market) -> None:
    task = pb.Task(specification=to_bytes(specified(noise(), ["snow"])))
    classes, models = await market.classes_for(task), await market.models_for(task)
    assert not classes.fits
    assert not models.fits
    assert not classes.classes[0].found[0].fits
    assert "snow" in classes.reason
    assert classes.compared_count == 3


@pytest.mark.parametrize("columns", [4, 64])
async def test_samples_of_another_kind_are_compared_with_nothing(
    columns: int, market: Market
) -> None:
    found = await market.classes_for(table_task(columns))
    assert (found.fits, found.compared_count) == (False, 0)
    assert [list(one.found) for one in found.classes] == [[]]
    models = await market.models_for(table_task(columns))
    assert (models.fits, models.compared_count, list(models.models)) == (False, 0, [])
    assert models.reason


async def test_an_empty_market_has_nothing(tmp_path: Any) -> None:
    with slicer_process(tmp_path) as process:
        async with slicer_client(process.address) as client:
            found = await Market(client.channel).classes_for(blob_task(NAMES))
    assert (found.fits, found.compared_count) == (False, 0)
    assert [one.label for one in found.classes] == list(NAMES)


async def test_a_limit_bounds_what_is_told(market: Market) -> None:
    task = blob_task(NAMES)
    assert len((await market.models_for(task, limit=2)).models) == 2
    found = await market.classes_for(task, limit=2)
    assert [len(one.found) for one in found.classes] == [2, 2, 2]
    all_of_them = await market.classes_for(task, limit=100_000)
    assert [len(one.found) for one in all_of_them.classes] == [7, 7, 7]


async def test_a_licence_narrows_the_search_as_soon_as_it_changes(market: Market) -> None:
    task, only = blob_task(("up", "down")), 'licence = "LicenseRef-found"'
    assert (await market.models_for(task, filter=only)).compared_count == 0
    update = models_pb2.UpdateModelRequest(model=models_pb2.Model(name="models/twin-b"))
    update.model.licence = "LicenseRef-found"
    update.update_mask.paths.append("licence")
    await market.call("UpdateModel", update)
    found = await market.models_for(task, filter=only)
    assert [(one.model, one.licence) for one in found.models] == [
        ("models/twin-b", "LicenseRef-found")
    ]
    classes = await market.classes_for(task, filter=only)
    assert {match.model for one in classes.classes for match in one.found} == {"models/twin-b"}


async def test_a_model_is_found_once_it_is_there_and_no_more_once_it_is_gone(
    market: Market,
) -> None:
    task = blob_task(("a", "b", "c", "d", "e"))
    before = await market.models_for(task)
    await market.submit(submission(MLP, classes=5, per_class=12), "brief")
    found = await market.models_for(task)
    assert found.models[0].model == "models/brief"
    assert found.fits
    await market.call("DeleteModel", models_pb2.DeleteModelRequest(name="models/brief"))
    assert await market.models_for(task) == before


async def test_a_hundred_classes_are_each_answered(market: Market) -> None:
    names = [f"class {place}" for place in range(100)]
    arrays = blobs(100, 8, 1)
    found = await market.classes_for(pb.Task(specification=to_bytes(specified(arrays, names))))
    assert [one.label for one in found.classes] == names
    # There are seven classes in the market, and none is given twice.
    assert not found.fits
    chosen = [one.found[0] for one in found.classes if one.found and one.found[0].fits]
    assert len({(one.model, one.model_label) for one in chosen}) == len(chosen)


def altered(task: pb.Task, kind: str) -> bytes:
    data = task.specification
    match kind:
        case "cut off":
            return data[: len(data) // 2]
        case "longer":
            return data + b"\0"
        case "another version":
            return data[:8] + struct.pack("<I", 999) + data[12:]
        case "not finite":
            broken = bytearray(data)
            start = len(data) - 8
            broken[start:] = struct.pack("<ff", float("nan"), float("inf"))
            return bytes(broken)
        case "more points than a quarter":
            # The count of samples, in the header: of equal length, so that all else stays.
            assert data.count(b'"samples":36') == 1
            return data.replace(b'"samples":36', b'"samples":12')
        case _:
            return b"PK\x03\x04 no specification"


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("cut off", "SPECIFICATION_INVALID"),
        ("longer", "SPECIFICATION_INVALID"),
        ("not finite", "SPECIFICATION_INVALID"),
        ("more points than a quarter", "SPECIFICATION_INVALID"),
        ("none at all", "SPECIFICATION_INVALID"),
        ("another version", "SPECIFICATION_VERSION"),
    ],
)
async def test_a_specification_that_is_none_is_refused(
    kind: str, reason: str, market: Market
) -> None:
    forged = altered(blob_task(NAMES), kind)
    for task in (
        pb.Task(specification=forged),
        pb.Task(stored_specification=await upload(market.channel, forged)),
    ):
        error = await refusal_of(market.classes_for(task))
        assert facts(error) == ("INVALID_ARGUMENT", reason)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"x": np.zeros((5, 1, 8, 8), np.float32)}, "SAMPLES_MISMATCH"),
        ({"x": np.full((36, 1, 8, 8), np.nan, np.float32)}, "SAMPLES_OUT_OF_RANGE"),
        ({"x": np.full((36, 1, 8, 8), 200.0, np.float32)}, "SAMPLES_OUT_OF_RANGE"),
        ({"x": np.zeros((36, 64), np.float32)}, "SAMPLES_MISMATCH"),
        ({"x": np.zeros((36, 1, 8, 8), np.complex64)}, "SAMPLES_MISMATCH"),
        ({"y": np.zeros(5, np.float32)}, "SAMPLES_MISMATCH"),
        ({"labels": np.zeros(36, np.float32)}, "SAMPLES_MISMATCH"),
        ({"labels": np.arange(36)}, "SAMPLES_MISMATCH"),
        ({"labels": np.minimum(np.arange(36), 1)}, "SPECIFICATION_TOO_FEW_SAMPLES"),
    ],
)
async def test_samples_that_do_not_fit_their_description_are_refused(
    change: dict[str, Any], reason: str, market: Market
) -> None:
    task = await market.samples({**blobs(3, 12), **change}, labels=NAMES)
    error = await refusal_of(market.classes_for(task))
    assert facts(error) == ("INVALID_ARGUMENT", reason)


async def test_one_picture_repeated_cannot_be_hidden(market: Market) -> None:
    pixels = np.repeat(blobs(2, 1)["x"][:1], 12, axis=0)
    error = await refusal_of(market.models_for(await market.samples({"x": pixels})))
    assert facts(error) == ("INVALID_ARGUMENT", "SPECIFICATION_TOO_NEAR")


async def test_samples_that_are_no_npz_are_refused(market: Market) -> None:
    sent = await upload(market.channel, b"\x89PNG no array")
    task = pb.Task(samples=pb.TaskSamples(samples=sent, inputs=[picture()]))
    error = await refusal_of(market.models_for(task))
    assert facts(error) == ("INVALID_ARGUMENT", "SAMPLES_UNREADABLE")


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.SearchModelsRequest(), "task"),
        (pb.SearchModelsRequest(task=pb.Task()), "task"),
        (pb.SearchModelsRequest(task=pb.Task(specification=b"x"), limit=-1), "limit"),
        (
            pb.SearchModelsRequest(task=pb.Task(samples=pb.TaskSamples(labels=["a", "a"]))),
            "task.samples.samples",
        ),
    ],
)
async def test_a_malformed_request_names_its_field(
    request_: pb.SearchModelsRequest, field: str, market: Market
) -> None:
    stub = search_pb2_grpc.SearchStub(market.channel)
    error = await refusal_of(answer(stub.SearchModels(request_)))
    assert error.code.name == "INVALID_ARGUMENT"
    assert field in [one.field for one in error.violations]


async def test_a_filter_by_something_else_is_refused(market: Market) -> None:
    error = await refusal_of(market.models_for(blob_task(NAMES), filter='label = "cat"'))
    assert facts(error) == ("INVALID_ARGUMENT", "FILTER_INVALID")


async def test_an_artifact_that_was_never_sent_is_not_found(market: Market) -> None:
    task = pb.Task()
    task.stored_specification.name = "artifacts/sha256:" + "0" * 64
    assert facts(await refusal_of(market.models_for(task)))[0] == "NOT_FOUND"
    task = pb.Task(samples=pb.TaskSamples(inputs=[picture()]))
    task.samples.samples.name = "artifacts/sha256:" + "0" * 64
    assert facts(await refusal_of(market.models_for(task)))[0] == "NOT_FOUND"


async def test_a_model_tells_what_it_is_found_by(market: Market) -> None:
    model = await market.call("GetModel", models_pb2.GetModelRequest(name="models/three"))
    told = model.specification
    assert told.space == "image"
    assert 0 < told.point_count <= model.sample_count // 4
    assert told.nearest_distance >= told.least_distance > 0
    assert not told.missing
    found = from_bytes(await market.read(told.artifact.name))
    assert found.labels == tuple(model.labels)
    assert len(found.weights) == told.point_count


async def test_the_same_submission_is_specified_the_same(market: Market) -> None:
    twins = [
        await market.call("GetModel", models_pb2.GetModelRequest(name=f"models/twin-{letter}"))
        for letter in "ab"
    ]
    assert twins[0].specification == twins[1].specification


async def test_a_model_with_too_few_samples_is_kept_and_told_of(market: Market) -> None:
    model = await market.submit(submission(MLP, classes=3, per_class=3), "meagre")
    assert not model.specification.HasField("artifact")
    assert "4 are needed" in model.specification.missing
    assert model == await market.call("GetModel", models_pb2.GetModelRequest(name=model.name))
    found = await market.models_for(blob_task(NAMES))
    assert model.name not in [one.model for one in found.models]
