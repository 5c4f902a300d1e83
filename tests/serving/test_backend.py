"""The Python-based backend inside a real Triton, called with NVIDIA's unmodified clients."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import numpy as np
import onnx
import pytest
import tritonclient.grpc
import tritonclient.http
from onnx import TensorProto, helper, numpy_helper

from serving.client import TritonClient
from serving.embedded.server import EmbeddedTriton
from serving.errors import InferenceFailedError, InvalidInferenceError, ModelLoadError
from serving.model_config import DataType, DynamicBatching, ModelConfig, TensorConfig
from serving.repository import ModelRepository
from tests.helpers.triton import (
    LABELS,
    add_classifier,
    answers,
    classifier_config,
    samples,
)

GATHERED = ("first", "second")


def _lookup() -> bytes:
    """Output row i of a 3-row table: an index outside of it fails inside ONNX Runtime."""
    table = np.arange(6, dtype=np.float32).reshape(3, 2)
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["table", "index"], ["first"], axis=0),
            helper.make_node("ReduceSum", ["first", "axes"], ["second"], keepdims=0),
        ],
        "lookup",
        [helper.make_tensor_value_info("index", TensorProto.INT64, ["N", "L"])],
        [
            helper.make_tensor_value_info("first", TensorProto.FLOAT, ["N", "L", 2]),
            helper.make_tensor_value_info("second", TensorProto.FLOAT, ["N", 2]),
        ],
        [numpy_helper.from_array(table, "table"), numpy_helper.from_array(np.array([1]), "axes")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString()


def _lookup_config(name: str, delay: int = 0) -> ModelConfig:
    return ModelConfig(
        name=name,
        max_batch_size=64,
        inputs=(TensorConfig("index", DataType.INT64, (-1,)),),
        outputs=(
            TensorConfig("first", DataType.FP32, (-1, 2)),
            TensorConfig("second", DataType.FP32, (2,)),
        ),
        dynamic_batching=DynamicBatching(max_queue_delay_microseconds=delay),
    )


async def _served(
    client: TritonClient, repository: ModelRepository, name: str, config: ModelConfig
) -> None:
    add_classifier(repository, name, 1, seed=1, graph=_lookup(), config=config)
    repository.activate(name, (1,))
    await client.load(name)


async def _executions(triton: EmbeddedTriton, name: str) -> int:
    """How often the model ran so far, a batch counted once."""

    def call() -> int:
        with tritonclient.grpc.InferenceServerClient(triton.grpc_address) as plain:
            (statistics,) = plain.get_inference_statistics(name).model_stats
        return int(statistics.execution_count)

    return await asyncio.to_thread(call)


async def test_a_model_answers_as_numpy_computes(
    client: TritonClient, repository: ModelRepository, name: str
) -> None:
    add_classifier(repository, name, 1, seed=7)
    repository.activate(name, (1,))
    await client.load(name)
    for count in (1, 2, 64):
        x = samples(count)
        got = (await client.infer(name, {"x": x})).outputs["probabilities"]
        np.testing.assert_allclose(got, answers(7, x), atol=1e-6)


async def test_the_unmodified_grpc_client_gets_class_names(
    client: TritonClient, triton: EmbeddedTriton, repository: ModelRepository, name: str
) -> None:
    add_classifier(repository, name, 1, seed=7)
    repository.activate(name, (1,))
    await client.load(name)
    x = samples(2)
    tensor = tritonclient.grpc.InferInput("x", [2, 4], "FP32")
    tensor.set_data_from_numpy(x)
    output = tritonclient.grpc.InferRequestedOutput("probabilities", class_count=2)
    with tritonclient.grpc.InferenceServerClient(triton.grpc_address) as plain:
        lines = plain.infer(name, [tensor], outputs=[output]).as_numpy("probabilities")
    best = np.argsort(-answers(7, x), axis=1)[:, :2]
    assert [[line.decode().split(":")[2] for line in row] for row in lines] == [
        [LABELS[index] for index in row] for row in best
    ]


async def test_the_unmodified_http_client_gets_class_names(
    client: TritonClient, triton: EmbeddedTriton, repository: ModelRepository, name: str
) -> None:
    add_classifier(repository, name, 1, seed=7)
    repository.activate(name, (1,))
    await client.load(name)
    x = samples(2)

    def call() -> list[list[str]]:
        tensor = tritonclient.http.InferInput("x", [2, 4], "FP32")
        tensor.set_data_from_numpy(x)
        output = tritonclient.http.InferRequestedOutput("probabilities", class_count=1)
        with tritonclient.http.InferenceServerClient(triton.http_address) as plain:
            lines = plain.infer(name, [tensor], outputs=[output]).as_numpy("probabilities")
        return [[line.decode().split(":")[2] for line in row] for row in lines]

    best = answers(7, x).argmax(axis=1)
    assert await asyncio.to_thread(call) == [[LABELS[index]] for index in best]


async def test_requests_of_unequal_size_are_batched_and_split_rightly(
    client: TritonClient, triton: EmbeddedTriton, repository: ModelRepository, name: str
) -> None:
    config = replace(
        classifier_config(name),
        dynamic_batching=DynamicBatching(max_queue_delay_microseconds=50_000),
    )
    add_classifier(repository, name, 1, seed=7, config=config)
    repository.activate(name, (1,))
    await client.load(name)
    parts = [samples(count, seed=count) for count in (1, 3, 2, 5, 1, 8)]
    results = await asyncio.gather(*(client.infer(name, {"x": part}) for part in parts))
    assert await _executions(triton, name) < len(parts)
    for part, result in zip(parts, results, strict=True):
        np.testing.assert_allclose(result.outputs["probabilities"], answers(7, part), atol=1e-6)


async def test_requests_of_unequal_shape_in_one_batch_get_their_own_answers(
    client: TritonClient, repository: ModelRepository, name: str
) -> None:
    await _served(client, repository, name, _lookup_config(name, delay=50_000))
    parts = [np.full((2, length), length % 3) for length in (1, 2, 2, 3)]
    results = await asyncio.gather(*(client.infer(name, {"index": part}) for part in parts))
    for part, result in zip(parts, results, strict=True):
        row = np.array([2 * part[0, 0], 2 * part[0, 0] + 1], np.float32)
        np.testing.assert_array_equal(
            result.outputs["second"], np.tile(row * part.shape[1], (2, 1))
        )


async def test_one_bad_request_of_a_batch_fails_alone(
    client: TritonClient, triton: EmbeddedTriton, repository: ModelRepository, name: str
) -> None:
    await _served(client, repository, name, _lookup_config(name, delay=100_000))
    good, bad = np.array([[1, 2]]), np.array([[1, 99]])
    results = await asyncio.gather(
        *(client.infer(name, {"index": part}) for part in (good, bad, good)), return_exceptions=True
    )
    assert await _executions(triton, name) < 3
    assert isinstance(results[1], InferenceFailedError)
    assert "out of" in results[1].message
    for result in (results[0], results[2]):
        assert not isinstance(result, BaseException)
        np.testing.assert_array_equal(result.outputs["second"], [[6, 8]])


async def test_only_the_outputs_asked_for_come_back(
    client: TritonClient, repository: ModelRepository, name: str
) -> None:
    await _served(client, repository, name, _lookup_config(name))
    index = np.array([[0]])
    one = await client.infer(name, {"index": index}, outputs=("second",))
    both = await client.infer(name, {"index": index})
    assert set(one.outputs) == {"second"}
    assert set(both.outputs) == {"first", "second"}


async def test_a_model_without_a_batch_axis_of_its_own_is_served_as_it_is(
    client: TritonClient, repository: ModelRepository, name: str
) -> None:
    config = ModelConfig(
        name=name,
        max_batch_size=0,
        inputs=(TensorConfig("index", DataType.INT64, (-1, -1)),),
        outputs=(TensorConfig("second", DataType.FP32, (-1, 2)),),
    )
    await _served(client, repository, name, config)
    index = np.zeros((100, 3), np.int64)
    answer = await client.infer(name, {"index": index})
    np.testing.assert_array_equal(answer.outputs["second"], np.tile([[0.0, 3.0]], (100, 1)))


def _changed(config: ModelConfig, what: str) -> ModelConfig:
    inputs, outputs = config.inputs, config.outputs
    changes = {
        "input name": {"inputs": (replace(inputs[0], name="y"),)},
        "input type": {"inputs": (replace(inputs[0], data_type=DataType.FP64),)},
        "input dims": {"inputs": (replace(inputs[0], dims=(5,)),)},
        "input rank": {"inputs": (replace(inputs[0], dims=(2, 2)),)},
        "further input": {"inputs": (*inputs, replace(inputs[0], name="z"))},
        "output name": {"outputs": (replace(outputs[0], name="y"),)},
        "output dims": {"outputs": (replace(outputs[0], dims=(7,)),)},
    }
    return replace(config, **changes[what])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "what",
    [
        "input name",
        "input type",
        "input dims",
        "input rank",
        "further input",
        "output name",
        "output dims",
    ],
)
async def test_a_configuration_that_does_not_fit_the_graph_is_refused_at_the_load(
    client: TritonClient, repository: ModelRepository, name: str, what: str
) -> None:
    config = _changed(classifier_config(name), what)
    add_classifier(repository, name, 1, seed=1, config=config)
    repository.activate(name, (1,))
    with pytest.raises(ModelLoadError, match=r"config\.pbtxt does not fit the graph"):
        await client.load(name)


async def test_a_graph_with_a_baked_batch_is_refused_at_the_load(
    client: TritonClient, repository: ModelRepository, name: str
) -> None:
    model = onnx.load_from_string(_lookup())
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    add_classifier(
        repository,
        name,
        1,
        seed=1,
        graph=model.SerializeToString(),
        config=_lookup_config(name),
    )
    repository.activate(name, (1,))
    with pytest.raises(ModelLoadError, match="no free batch axis"):
        await client.load(name)


async def test_a_file_that_is_no_graph_is_refused_at_the_load(
    client: TritonClient, repository: ModelRepository, name: str
) -> None:
    add_classifier(repository, name, 1, seed=1, graph=b"no graph")
    repository.activate(name, (1,))
    with pytest.raises(ModelLoadError, match="ONNX Runtime refuses the graph"):
        await client.load(name)


async def test_a_batch_beyond_the_limit_is_refused_and_the_model_serves_on(
    client: TritonClient, repository: ModelRepository, name: str
) -> None:
    add_classifier(repository, name, 1, seed=1)
    repository.activate(name, (1,))
    await client.load(name)
    with pytest.raises(InvalidInferenceError, match="batch-size"):
        await client.infer(name, {"x": samples(65)})
    assert (await client.infer(name, {"x": samples(64)})).version == 1
