"""The typed client against a real Triton."""

from __future__ import annotations

import asyncio
import os
import signal

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import InferenceServerException

from serving.client import TritonClient
from serving.embedded.command import Ports, free_ports
from serving.embedded.server import EmbeddedTriton
from serving.errors import (
    InvalidInferenceError,
    ModelNotServedError,
    StubDiedError,
    TritonDeadlineError,
    TritonSecretError,
    TritonUnavailableError,
)
from serving.repository import ModelRepository
from svckit.errors import ServiceError, from_exception
from tests.helpers.triton import LABELS, add_classifier, answers, living_stubs, samples


@pytest.fixture
async def model(client: TritonClient, repository: ModelRepository, name: str) -> str:
    """A served classifier of seed 7."""
    add_classifier(repository, name, 1, seed=7)
    repository.activate(name, (1,))
    await client.load(name)
    return name


async def test_a_live_triton_is_live_and_names_itself(client: TritonClient) -> None:
    assert await client.is_live()
    assert await client.identity() is not None


async def test_a_triton_that_is_not_there_is_not_live() -> None:
    address = f"127.0.0.1:{free_ports(Ports()).grpc}"
    async with TritonClient(address) as nobody:
        assert not await nobody.is_live(deadline=2)
        assert await nobody.identity(deadline=2) is None
        with pytest.raises(TritonUnavailableError):
            await nobody.infer("m", {"x": samples()})


async def test_classes_come_best_first_with_their_names(client: TritonClient, model: str) -> None:
    x = samples(3)
    found = await client.classify(model, {"x": x}, output="probabilities", class_count=2)
    expected = answers(7, x)
    for row, scores in zip(found.rows, expected, strict=True):
        order = np.argsort(-scores)[:2]
        assert [each.index for each in row] == list(order)
        assert [each.label for each in row] == [LABELS[index] for index in order]
        assert [each.score for each in row] == pytest.approx(scores[order], abs=1e-5)


async def test_a_class_name_may_have_a_colon(
    client: TritonClient, repository: ModelRepository, name: str
) -> None:
    add_classifier(repository, name, 1, seed=7, labels=("a:b", "c d", "ü"))
    repository.activate(name, (1,))
    await client.load(name)
    found = await client.classify(name, {"x": samples(1)}, output="probabilities", class_count=9)
    assert {each.label for each in found.rows[0]} == {"a:b", "c d", "ü"}


async def test_an_unknown_model_is_not_served(client: TritonClient) -> None:
    with pytest.raises(ModelNotServedError):
        await client.infer("no-such-model", {"x": samples()})


async def test_an_unknown_version_is_not_served(client: TritonClient, model: str) -> None:
    with pytest.raises(ModelNotServedError):
        await client.infer(model, {"x": samples()}, version=9)


@pytest.mark.parametrize(
    "inputs",
    [
        {"y": samples()},
        {"x": samples().astype(np.float64)},
        {"x": samples()[:, :3]},
        {"x": samples(), "y": samples()},
    ],
    ids=["name", "type", "shape", "surplus"],
)
async def test_a_request_that_does_not_fit_the_model_is_invalid(
    client: TritonClient, model: str, inputs: dict[str, np.ndarray]
) -> None:
    with pytest.raises(InvalidInferenceError):
        await client.infer(model, inputs)


async def test_a_deadline_that_passes_is_said_so(client: TritonClient, model: str) -> None:
    with pytest.raises(TritonDeadlineError):
        await client.infer(model, {"x": samples()}, deadline=1e-6)


async def test_a_client_without_the_secret_can_predict_but_change_nothing(
    triton: EmbeddedTriton, model: str
) -> None:
    for secret in (None, "guess"):
        async with TritonClient(triton.grpc_address, secret=secret) as stranger:
            for call in (stranger.unload(model), stranger.load(model), stranger.index()):
                with pytest.raises(TritonSecretError):
                    await call
            assert (await stranger.infer(model, {"x": samples()})).version == 1


async def test_the_unmodified_clients_cannot_unload_a_model_over_grpc_or_http(
    client: TritonClient, triton: EmbeddedTriton, model: str
) -> None:
    def over_grpc() -> None:
        with tritonclient.grpc.InferenceServerClient(triton.grpc_address) as plain:
            plain.unload_model(model)

    def over_http() -> None:
        with tritonclient.http.InferenceServerClient(triton.http_address) as plain:
            plain.unload_model(model)

    for attempt in (over_grpc, over_http):
        with pytest.raises(InferenceServerException, match="restricted"):
            await asyncio.to_thread(attempt)
    assert (await client.infer(model, {"x": samples()})).version == 1


async def test_a_client_without_the_secret_cannot_map_the_servers_memory(
    triton: EmbeddedTriton,
) -> None:
    def attempt() -> None:
        with tritonclient.grpc.InferenceServerClient(triton.grpc_address) as plain:
            plain.register_system_shared_memory("region", "/key", 64)

    with pytest.raises(InferenceServerException, match="restricted"):
        await asyncio.to_thread(attempt)


async def test_a_killed_stub_is_told_from_other_failures(
    client: TritonClient, repository: ModelRepository, triton: EmbeddedTriton, name: str
) -> None:
    before = living_stubs(triton)
    add_classifier(repository, name, 1, seed=7)
    repository.activate(name, (1,))
    await client.load(name)
    (stub,) = living_stubs(triton) - before
    os.kill(stub, signal.SIGKILL)
    with pytest.raises(StubDiedError):
        await client.infer(name, {"x": samples()})


async def test_an_error_becomes_a_services_error_with_its_reason(client: TritonClient) -> None:
    with pytest.raises(ModelNotServedError) as caught:
        await client.infer("no-such-model", {"x": samples()})
    error = from_exception(caught.value, call_id="c1")
    assert isinstance(error, ServiceError)
    assert (error.reason_name, error.advice) == ("RESOURCE_NOT_FOUND", caught.value.advice)
