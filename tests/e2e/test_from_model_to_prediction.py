"""From a submitted model to a prediction by Triton's own clients."""

from __future__ import annotations

import time
from types import ModuleType
from typing import Any

import grpc
import numpy as np
import onnx
import onnxruntime
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from google.api_core import exceptions
from sliceandpack.artifact.v1 import artifacts_pb2, artifacts_pb2_grpc
from sliceandpack.packer.v1 import deployments_pb2, packs_pb2
from sliceandpack.slicer.v1 import models_pb2

from tests.helpers.digit_models import unseen_digits
from tests.helpers.errors import failed_operation_reason, reason_of
from tests.helpers.stocked import Stocked

SECONDS = 60.0
TARGET = (0, 3, 6)
LABELS = ("zero", "three", "six")


@pytest.fixture(scope="module")
def served(stocked: Stocked) -> str:
    stocked.packer.deploy("walk", stocked.pack("walk-a", *LABELS))
    return "walk"


def test_a_pack_keeps_the_accuracy_of_its_origins_at_a_quarter_of_their_size(
    stocked: Stocked, served: str
) -> None:
    digits = unseen_digits(TARGET)
    with triton_grpc.InferenceServerClient(stocked.market.triton_grpc) as client:
        answers = [
            probabilities(client, triton_grpc, served, digits.images[start : start + 60])
            for start in range(0, len(digits.labels), 60)
        ]
    accuracy = float((np.concatenate(answers).argmax(1) == digits.labels).mean())
    pack = stocked.packer.packs.GetPack(packs_pb2.GetPackRequest(name="packs/walk-a"))

    assert accuracy >= 0.95
    assert pack.parameters <= 0.35 * pack.ensemble_parameters
    assert pack.proof_summary.top1_agreement == 1.0


def test_a_pack_is_one_onnx_file_with_a_free_batch(stocked: Stocked, served: str) -> None:
    pack = stocked.packer.packs.GetPack(packs_pb2.GetPackRequest(name="packs/walk-a"))
    graph = download(stocked.packer.channel, pack.graph.name)

    onnx.checker.check_model(graph, full_check=True)
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    values = [*session.get_inputs(), *session.get_outputs()]
    assert all(isinstance(value.shape[0], str) for value in values)
    for batch in (1, 3):
        images = np.zeros((batch, 1, 8, 8), np.float32)
        assert session.run(None, {"image": images})[0].shape == (batch, 3)


def test_a_deployment_tells_how_live_answers_compare_on_every_kind_of_input(
    stocked: Stocked, served: str
) -> None:
    request = deployments_pb2.GetDeploymentRequest(name=f"deployments/{served}")
    (replica,) = stocked.packer.deployments.GetDeployment(request).replicas

    assert [case.inputs for case in replica.parity] == ["samples", "random", "extreme"]
    for case in replica.parity:
        assert case.passed
        assert case.rows >= 7
        assert 0.0 < case.max_absolute_difference <= 1e-4
        assert case.cosine_similarity == pytest.approx(1.0)
        assert case.top1_agreement == 1.0


@pytest.mark.parametrize("library", [triton_grpc, triton_http], ids=["grpc", "http"])
def test_the_public_client_gets_class_names(
    stocked: Stocked, served: str, library: ModuleType
) -> None:
    market = stocked.market
    address = market.triton_grpc if library is triton_grpc else market.triton_http
    digits = unseen_digits(TARGET)
    with library.InferenceServerClient(address) as client:
        image = library.InferInput("image", [1, 1, 8, 8], "FP32")
        image.set_data_from_numpy(digits.images[:1])
        wanted = library.InferRequestedOutput("probabilities", class_count=1)
        answer = client.infer(served, [image], outputs=[wanted]).as_numpy("probabilities")

    assert answer.reshape(-1)[0].decode().rpartition(":")[2] == LABELS[digits.labels[0]]


def test_a_switch_gives_clients_the_other_pack(stocked: Stocked) -> None:
    first = stocked.pack("switch-a", "one", "four")
    second = stocked.packer.packs.CreatePack(
        paper_request("switch-b", [stocked.fragments["one"], stocked.fragments["four"]])
    )
    other = stocked.packer.operations.result(second, packs_pb2.Pack).name
    image = unseen_digits((1, 4)).images[:1]
    stocked.packer.deploy("switch", first)
    with triton_grpc.InferenceServerClient(stocked.market.triton_grpc) as client:
        before = probabilities(client, triton_grpc, "switch", image)
        switched = stocked.packer.switch("switch", other)
        after = probabilities(client, triton_grpc, "switch", image)

    assert (switched.pack, switched.previous_pack) == (other, first)
    assert not np.array_equal(before, after)


def test_a_switch_that_clients_would_notice_is_refused_unless_allowed(stocked: Stocked) -> None:
    stocked.packer.deploy("notice", stocked.pack("notice-a", "one", "four"))
    other = stocked.pack("notice-b", "one", "seven")

    with pytest.raises(grpc.RpcError) as refused:
        stocked.packer.deployments.UpdateDeployment(stocked.packer.switch_request("notice", other))
    assert reason_of(refused.value) == "SIGNATURE_CHANGED"
    assert stocked.packer.switch("notice", other, allow=True).pack == other


def test_what_is_served_cannot_be_deleted_by_accident(stocked: Stocked, served: str) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        stocked.packer.packs.DeletePack(packs_pb2.DeletePackRequest(name="packs/walk-a"))
    assert reason_of(refused.value) == "PACK_IN_USE"
    with pytest.raises(grpc.RpcError) as refused:
        stocked.slicer.models.DeleteModel(models_pb2.DeleteModelRequest(name="models/low"))
    assert reason_of(refused.value) == "MODEL_IN_USE"


def test_a_deleted_deployment_is_served_no_longer(stocked: Stocked) -> None:
    stocked.packer.deploy("short", stocked.pack("short-a", "two", "five"))
    stocked.packer.deployments.DeleteDeployment(
        deployments_pb2.DeleteDeploymentRequest(name="deployments/short")
    )

    with triton_grpc.InferenceServerClient(stocked.market.triton_grpc) as client:
        assert eventually_gone(client, "short")


def test_of_two_switches_at_once_one_wins(stocked: Stocked) -> None:
    stocked.packer.deploy("race", stocked.pack("race-a", "one", "five"))
    others = [
        stocked.packer.operations.result(
            stocked.packer.packs.CreatePack(
                paper_request(f"race-{seed}", fragments_of(stocked, "one", "five"), seed)
            ),
            packs_pb2.Pack,
        ).name
        for seed in (1, 2)
    ]

    outcomes = []
    for pack in others:
        try:
            started = stocked.packer.deployments.UpdateDeployment(
                stocked.packer.switch_request("race", pack)
            )
        except grpc.RpcError as error:
            outcomes.append(reason_of(error))
        else:
            future = stocked.packer.operations.future(started, deployments_pb2.Deployment)
            outcomes.append(future)
    ends = [end_of(outcome) for outcome in outcomes]
    deployment = stocked.packer.deployments.GetDeployment(
        deployments_pb2.GetDeploymentRequest(name="deployments/race")
    )

    assert set(ends) <= {*others, "SWITCH_IN_PROGRESS"}
    assert deployment.pack in others
    assert deployment.state == deployments_pb2.DEPLOYMENT_STATE_SERVING


def end_of(outcome: Any) -> str:
    """The pack of a switch that ended well, or the reason of one that did not."""
    if isinstance(outcome, str):
        return outcome
    try:
        return str(outcome.result(timeout=60).pack)
    except exceptions.GoogleAPICallError as error:
        return failed_operation_reason(error)


def probabilities(
    client: triton_grpc.InferenceServerClient, library: ModuleType, name: str, images: np.ndarray
) -> np.ndarray:
    tensor = library.InferInput("image", list(images.shape), "FP32")
    tensor.set_data_from_numpy(images)
    answer: np.ndarray = client.infer(name, [tensor]).as_numpy("probabilities")
    return answer


def eventually_gone(client: triton_grpc.InferenceServerClient, name: str) -> bool:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if not client.is_model_ready(name):
            return True
        time.sleep(0.05)
    return False


def fragments_of(stocked: Stocked, *labels: str) -> list[str]:
    return [stocked.fragments[label] for label in labels]


def paper_request(pack_id: str, fragments: list[str], seed: int = 0) -> packs_pb2.CreatePackRequest:
    request = packs_pb2.CreatePackRequest(pack_id=pack_id)
    request.pack.fragments.extend(packs_pb2.PackFragment(fragment=name) for name in fragments)
    request.pack.head.kind = packs_pb2.HEAD_KIND_PAPER
    request.pack.head.seed = seed
    return request


def download(channel: grpc.Channel, name: str) -> bytes:
    stub = artifacts_pb2_grpc.ArtifactsStub(channel)
    return b"".join(chunk.data for chunk in stub.Read(artifacts_pb2.ReadRequest(name=name)))
