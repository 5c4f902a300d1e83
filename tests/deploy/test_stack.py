"""The whole walk, by the command line, through containers: deploy/compose, and the chart's."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton_grpc
from sliceandpack.artifact.v1 import artifacts_pb2, artifacts_pb2_grpc

from svckit.clients.artifacts import upload
from tests.helpers.command_line import marketctl
from tests.helpers.containers import Stack, docker, options
from tests.helpers.digit_models import digit_model, unseen_digits

pytestmark = [pytest.mark.container, pytest.mark.timeout(300)]

ORIGINS = {"low": (0, 1, 2), "middle": (3, 4, 5)}
CHOSEN = {"low": "zero", "middle": "three"}
MEGABYTE = 1_000_000
DEPLOYMENTS = ("harbour", "port")


def ask(stack: Stack, *arguments: object) -> Any:
    """Runs marketctl against the stack; returns what it printed."""
    ended = marketctl(*options(stack), "--quiet", *arguments)
    assert ended.code == 0, ended.err
    return ended.data


@pytest.fixture(scope="module")
def deployed(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """The stack with two models submitted and sliced, and a pack that serves under two names."""
    folder = tmp_path_factory.mktemp("models")
    fragments = []
    for name, digits in ORIGINS.items():
        model = digit_model(digits)
        graph, samples = folder / f"{name}.onnx", folder / f"{name}.npz"
        graph.write_bytes(model.graph)
        samples.write_bytes(model.samples)
        files = (graph, "--samples", samples, "--labels", ",".join(model.labels))
        ask(stack, "models", "submit", *files, "--id", name, "--image", "image", "--range", "0,1")
        sliced = ask(stack, "models", "slice", name, "--class", CHOSEN[name], "--beta", "0.5")
        fragments.append(sliced[0]["name"])
    ask(stack, "packs", "create", *fragments, "--id", "walk")
    for name in DEPLOYMENTS:
        ask(stack, "deployments", "create", name, "--pack", "packs/walk")
    return stack


def test_what_was_submitted_can_be_predicted(deployed: Stack, tmp_path: Path) -> None:
    digits = unseen_digits((0, 3))
    file = tmp_path / "unseen.npz"
    np.savez(file, image=digits.images)
    answers = ask(deployed, "predict", "harbour", file, "--top", "1")
    labels = [answer["predictions"][0]["label"] for answer in answers]
    right = [("zero", "three")[label] for label in digits.labels]
    assert np.mean([said == meant for said, meant in zip(labels, right, strict=True)]) >= 0.95


def test_the_doctor_finds_everything_well(deployed: Stack) -> None:
    checks = {check["name"]: check for check in ask(deployed, "doctor")}
    assert checks["Deployments"]["found"] == "2 serving"
    assert {check["status"] for check in checks.values()} <= {"ok", "warn"}


def test_clients_without_the_secret_cannot_unload_models(deployed: Stack) -> None:
    with triton_grpc.InferenceServerClient(deployed.address("TRITON_GRPC")) as client:
        with pytest.raises(triton_grpc.InferenceServerException, match="restricted"):
            client.unload_model("harbour")
        assert client.is_model_ready("harbour")


def test_a_triton_that_was_killed_serves_every_deployment_before_it_is_ready(
    deployed: Stack,
) -> None:
    triton = deployed.container("triton")
    docker("kill", triton.name)
    until(deployed, ready=False)
    docker("start", triton.name)
    until(deployed, ready=True)
    assert all(answers(deployed, name) for name in DEPLOYMENTS)


def test_a_triton_that_is_stopped_and_started_in_one_breath_is_noticed(
    deployed: Stack,
) -> None:
    docker("restart", "--time", "0", deployed.container("triton").name)
    until(deployed, ready=True)
    assert all(answers(deployed, name) for name in DEPLOYMENTS)


async def test_a_download_under_way_outlives_sigterm(deployed: Stack) -> None:
    slicer, content = deployed.container("slicer"), os.urandom(24 * MEGABYTE)
    async with grpc.aio.insecure_channel(deployed.address("SLICER")) as channel:
        artifact = await upload(channel, content)
        stub: Any = artifacts_pb2_grpc.ArtifactsStub(channel)
        stream = stub.Read(artifacts_pb2.ReadRequest(name=artifact.name))
        received = hashlib.sha256((await stream.read()).data)
        docker("kill", "--signal", "TERM", slicer.name)
        await asyncio.sleep(2)  # Longer than a server takes to end that drains nothing.
        assert slicer.state()["Running"]
        while (chunk := await stream.read()) != grpc.aio.EOF:
            received.update(chunk.data)
    assert received.hexdigest() == hashlib.sha256(content).hexdigest()
    assert docker("wait", slicer.name).stdout.strip() == "0"
    assert '"stopped"' in slicer.logs()
    docker("start", slicer.name)
    slicer.until_ready()


def test_servers_stay_light_after_work(deployed: Stack) -> None:
    for service in ("slicer", "packer"):
        assert deployed.container(service).resident_bytes() < 120e6


def test_everything_is_there_after_a_restart(deployed: Stack) -> None:
    deployed.restart()
    until(deployed, ready=True)
    assert all(answers(deployed, name) for name in DEPLOYMENTS)
    assert [found["name"] for found in ask(deployed, "packs", "list")] == ["packs/walk"]


def answers(stack: Stack, name: str) -> bool:
    """Whether a deployment answers a client now."""
    image = triton_grpc.InferInput("image", [1, 1, 8, 8], "FP32")
    image.set_data_from_numpy(unseen_digits((0, 3)).images[:1])
    with triton_grpc.InferenceServerClient(stack.address("TRITON_GRPC")) as client:
        try:
            found = client.infer(name, [image]).as_numpy("probabilities")
        except triton_grpc.InferenceServerException:
            return False
    return bool(found.shape == (1, 2))


def until(stack: Stack, *, ready: bool) -> None:
    """Waits until the reconciler says so."""
    deadline = time.monotonic() + 60
    while is_ready(stack) != ready:
        assert time.monotonic() < deadline, stack.container("reconciler").logs()[-4000:]
        time.sleep(0.02)


def is_ready(stack: Stack) -> bool:
    """Whether the reconciler says that its Triton is fit to be called."""
    address = stack.address("RECONCILER_METRICS")
    try:
        with urllib.request.urlopen(f"http://{address}/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError):
        return False
