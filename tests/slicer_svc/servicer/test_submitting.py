"""What CreateModel takes, and what it refuses before any work is done."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import grpc
import numpy as np
import pytest
from sliceandpack.artifact.v1 import artifacts_pb2
from sliceandpack.slicer.v1 import models_pb2 as pb
from sliceandpack.slicer.v1.input_spec_pb2 import ElementType, ImageLayout, InputSpec

from svckit.clients.patience import answer
from tests.helpers.service_errors import facts, refusal_of
from tests.helpers.slicer import SlicerClient, digest_named, until
from tests.helpers.submissions import CNN, MLP, submission

GOOD = submission(MLP)


async def test_a_good_model_is_kept_with_what_was_found_out(slicer: SlicerClient) -> None:
    sent = submission(CNN, seed=3)
    request = await slicer.request_of(sent, "found-out")
    request.model.display_name, request.model.licence = "Blobs, three of them", "MIT"
    operation = await slicer.call("CreateModel", request)
    model = await slicer.operations.result(operation.name, pb.Model)
    assert model.name == "models/found-out"
    assert list(model.labels) == list(sent.labels)
    assert (model.display_name, model.licence) == ("Blobs, three of them", "MIT")
    assert model.sample_accuracy > 0.9
    assert model.sample_count == 24
    assert model.unit_group_count == 3
    assert model.feature_width == 16
    assert model.parameters == 8 * 9 + 8 + 16 * 72 + 16 + 16 * 256 + 16 + 3 * 16 + 3
    assert model.macs == 64 * 8 * 9 + 16 * 16 * 72 + 16 * 256 + 3 * 16
    (spec,) = model.inputs
    assert list(spec.shape) == [1, 8, 8]
    assert spec.element_type == ElementType.ELEMENT_TYPE_FLOAT32
    assert spec.image.layout == ImageLayout.IMAGE_LAYOUT_NCHW
    assert model.graph.name == digest_named(sent.graph)
    assert model.normalised_graph.size_bytes > 0
    assert model == await slicer.call("GetModel", pb.GetModelRequest(name=model.name))


async def test_a_model_without_a_word_on_its_inputs_takes_plain_numbers(
    slicer: SlicerClient,
) -> None:
    model = await slicer.submit(replace(GOOD, inputs=[]))
    assert model.inputs[0].WhichOneof("semantics") == "tensor"
    assert list(model.inputs[0].shape) == [1, 8, 8]


def without_graph(request: pb.CreateModelRequest) -> None:
    request.model.ClearField("graph")


def misnamed_graph(request: pb.CreateModelRequest) -> None:
    request.model.graph.name = "artifacts/../../etc/passwd"


def one_label(request: pb.CreateModelRequest) -> None:
    del request.model.labels[1:]


def empty_label(request: pb.CreateModelRequest) -> None:
    request.model.labels[1] = " "


def bad_id(request: pb.CreateModelRequest) -> None:
    request.model_id = "Not An Id"


def control_characters(request: pb.CreateModelRequest) -> None:
    request.model.display_name = "two\x00lines"


def unknown_element_type(request: pb.CreateModelRequest) -> None:
    request.model.inputs[0].MergeFromString(b"\x18\x63")


def unknown_layout(request: pb.CreateModelRequest) -> None:
    request.model.inputs[0].image.MergeFromString(b"\x08\x63")


def empty_range(request: pb.CreateModelRequest) -> None:
    request.model.inputs[0].image.value_range.minimum = 1.0


def endless_range(request: pb.CreateModelRequest) -> None:
    request.model.inputs[0].image.value_range.maximum = np.inf


def no_deviation(request: pb.CreateModelRequest) -> None:
    request.model.inputs[0].image.standard_deviation.append(0.0)


def input_twice(request: pb.CreateModelRequest) -> None:
    request.model.inputs.append(request.model.inputs[0])


def size_of_nothing(request: pb.CreateModelRequest) -> None:
    request.model.inputs[0].shape.extend([1, 0, 8])


def odd_vocabulary(request: pb.CreateModelRequest) -> None:
    text = InputSpec(name="x").text
    text.vocabulary_digest, text.vocabulary_size, text.padding_id = "md5:0", 5, 5
    request.model.inputs[0].text.CopyFrom(text)


FIELDS = {
    without_graph: "model.graph",
    misnamed_graph: "model.graph.name",
    one_label: "model.labels",
    empty_label: "model.labels[1]",
    bad_id: "model_id",
    control_characters: "model.display_name",
    unknown_element_type: "model.inputs[0].element_type",
    unknown_layout: "model.inputs[0].image.layout",
    empty_range: "model.inputs[0].image.value_range",
    endless_range: "model.inputs[0].image.value_range",
    no_deviation: "model.inputs[0].image.standard_deviation",
    input_twice: "model.inputs[0].name",
    size_of_nothing: "model.inputs[0].shape",
    odd_vocabulary: "model.inputs[0].text.vocabulary_digest",
}


@pytest.mark.parametrize(
    ("change", "field"), FIELDS.items(), ids=[change.__name__ for change in FIELDS]
)
async def test_a_request_that_breaks_a_rule_is_refused_by_the_name_of_its_field(
    slicer: SlicerClient, change: Any, field: str
) -> None:
    request = await slicer.request_of(GOOD)
    change(request)
    error = await refusal_of(slicer.call("CreateModel", request))
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert error.reason_name in ("FIELD_INVALID", "FIELD_REQUIRED")
    assert field in [violation.field for violation in error.violations]


async def test_all_broken_rules_come_at_once(slicer: SlicerClient) -> None:
    request = await slicer.request_of(GOOD)
    for change in (empty_label, bad_id, no_deviation):
        change(request)
    error = await refusal_of(slicer.call("CreateModel", request))
    assert {FIELDS[change] for change in (empty_label, bad_id, no_deviation)} == {
        violation.field for violation in error.violations
    }


async def test_two_classes_of_one_label_are_refused(slicer: SlicerClient) -> None:
    request = await slicer.request_of(replace(GOOD, labels=["a", "b", "a"]))
    error = await refusal_of(slicer.call("CreateModel", request))
    assert facts(error) == ("INVALID_ARGUMENT", "LABELS_DUPLICATE")
    assert error.metadata == {"label": "a"}


async def test_a_flood_of_bad_labels_is_answered_in_one_short_error(slicer: SlicerClient) -> None:
    request = await slicer.request_of(replace(GOOD, labels=["\n"] * 400_000))
    error = await refusal_of(slicer.call("CreateModel", request))
    assert facts(error) == ("INVALID_ARGUMENT", "FIELD_INVALID")
    assert error.violations[0].field == "model.labels"
    request = await slicer.request_of(replace(GOOD, labels=[str(n) for n in range(32_768)] * 2))
    error = await refusal_of(slicer.call("CreateModel", request))
    assert facts(error) == ("INVALID_ARGUMENT", "LABELS_DUPLICATE")


async def test_artifacts_that_were_not_uploaded_are_not_found(slicer: SlicerClient) -> None:
    request = await slicer.request_of(GOOD)
    request.model.samples.name = digest_named(b"never uploaded")
    error = await refusal_of(slicer.call("CreateModel", request))
    assert facts(error) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")


async def test_an_artifact_whose_digest_differs_is_not_kept(slicer: SlicerClient) -> None:
    name = digest_named(b"what was promised")
    write = artifacts_pb2.WriteRequest(name=name, data=b"what came", finish_write=True)
    error = await refusal_of(answer(slicer.artifacts.Write(iter([write]))))
    assert facts(error) == ("INVALID_ARGUMENT", "DIGEST_MISMATCH")
    request = await slicer.request_of(GOOD)
    request.model.graph.name = name
    error = await refusal_of(slicer.call("CreateModel", request))
    assert facts(error) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")


async def test_a_cancelled_upload_is_no_artifact_and_can_go_on(slicer: SlicerClient) -> None:
    data = np.random.default_rng(7).bytes(100_000)
    name = digest_named(data)

    async def never_finished() -> Any:
        yield artifacts_pb2.WriteRequest(name=name, data=data[:50_000])
        await asyncio.Event().wait()

    call = slicer.artifacts.Write(never_finished())

    async def half_way() -> bool:
        state = await answer(
            slicer.artifacts.QueryWriteStatus(artifacts_pb2.QueryWriteStatusRequest(name=name))
        )
        assert not state.complete
        return bool(state.committed_size >= 50_000)

    await until(half_way)
    call.cancel()
    request = await slicer.request_of(GOOD)
    request.model.graph.name = name
    error = await refusal_of(slicer.call("CreateModel", request))
    assert facts(error) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")

    def rest() -> Iterator[artifacts_pb2.WriteRequest]:
        yield artifacts_pb2.WriteRequest(
            name=name, write_offset=50_000, data=data[50_000:], finish_write=True
        )

    kept = await answer(slicer.artifacts.Write(rest()))
    assert kept.artifact.name == f"artifacts/sha256:{hashlib.sha256(data).hexdigest()}"


async def test_validate_only_keeps_nothing(slicer: SlicerClient) -> None:
    request = await slicer.request_of(GOOD, "only-validated")
    request.validate_only = True
    operation = await slicer.call("CreateModel", request)
    assert operation.done
    assert operation.name == ""
    sent = pb.Model()
    assert operation.response.Unpack(sent)
    assert sent == request.model
    error = await refusal_of(
        slicer.call("GetModel", pb.GetModelRequest(name="models/only-validated"))
    )
    assert facts(error) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")
    request.model.graph.name = digest_named(b"never uploaded")
    error = await refusal_of(slicer.call("CreateModel", request))
    assert facts(error) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")


async def test_a_replay_returns_the_first_operation_and_another_body_is_refused(
    slicer: SlicerClient,
) -> None:
    request = await slicer.request_of(GOOD, "replayed")
    request.request_id = "replayed-request"
    first = await slicer.call("CreateModel", request)
    await slicer.operations.result(first.name, pb.Model)
    second = await slicer.call("CreateModel", request)
    assert second.name == first.name
    request.model.display_name = "changed"
    error = await refusal_of(slicer.call("CreateModel", request))
    assert facts(error) == ("INVALID_ARGUMENT", "REQUEST_ID_REUSED")


async def test_of_two_models_of_one_name_at_once_one_is_kept(slicer: SlicerClient) -> None:
    requests = [
        await slicer.request_of(submission(MLP, seed=seed), "wanted-twice") for seed in (1, 2)
    ]
    operations = [await slicer.call("CreateModel", request) for request in requests]
    finished = [await slicer.operations.wait(operation.name) for operation in operations]
    results: Mapping[str, list[Any]] = {"response": [], "error": []}
    for operation in finished:
        results[operation.WhichOneof("result")].append(operation)
    assert len(results["response"]) == 1
    lost = await refusal_of(slicer.operations.result(results["error"][0].name, pb.Model))
    assert facts(lost) == ("ALREADY_EXISTS", "RESOURCE_EXISTS")
    kept = pb.Model()
    results["response"][0].response.Unpack(kept)
    assert kept == await slicer.call("GetModel", pb.GetModelRequest(name="models/wanted-twice"))
    error = await refusal_of(slicer.call("CreateModel", requests[0]))
    assert facts(error) == ("ALREADY_EXISTS", "RESOURCE_EXISTS")


async def test_a_model_without_an_id_gets_one_that_can_be_deleted(slicer: SlicerClient) -> None:
    model = await slicer.submit(GOOD)
    await slicer.call("DeleteModel", pb.DeleteModelRequest(name=model.name))
    error = await refusal_of(slicer.call("GetModel", pb.GetModelRequest(name=model.name)))
    assert facts(error) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")
