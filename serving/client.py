"""A typed asyncio port to Triton, over NVIDIA's own client."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt
from tritonclient.grpc import InferInput, InferRequestedOutput, InferResult
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from serving.answers import Classification, ClassScore, Inference, ModelVersionState, Placement
from serving.errors import (
    InferenceFailedError,
    InvalidInferenceError,
    StubDiedError,
    TritonDeadlineError,
    TritonUnavailableError,
)
from serving.refusals import load_refusal, typed
from serving.traffic import Traffic, traffic_of

# Triton compares the key as it was written on its command line, and gRPC metadata is lower case: a
# key with a capital letter in it would lock everybody out.
SECRET_KEY = "sliceandpack-secret"  # noqa: S105 - the header's name, not a secret.
_SECRET_HEADER = f"triton-grpc-protocol-{SECRET_KEY}"

_LOAD_SECONDS = 120.0
_CALL_SECONDS = 10.0
INFER_SECONDS = 30.0
"""How long an answer is waited for, unless a caller says otherwise."""

# gRPC's own defaults wait a second and more before a new attempt, which is long for a server that
# starts in a tenth of one.
_CHANNEL_OPTIONS = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
]


class TritonClient:
    """Calls one Triton over gRPC; used as an asynchronous context manager.

    Args:
        address: "host:port" of Triton's gRPC endpoint.
        secret: The secret of the model-repository API; without it `load`, `unload` and `index` are
            refused by a Triton that restricts them.
    """

    def __init__(self, address: str, *, secret: str | None = None) -> None:
        self.address = address
        self._headers = {} if secret is None else {_SECRET_HEADER: secret}
        self._client = InferenceServerClient(address, channel_args=_CHANNEL_OPTIONS)
        self._answered: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connection; calls under way fail."""
        await self._client.close()

    async def is_live(self, *, deadline: float = _CALL_SECONDS) -> bool:
        """Whether Triton answers and calls itself live; an unreachable one is not live.

        Args:
            deadline: Seconds to wait for the answer.
        """
        try:
            return bool(await self._client.is_server_live(client_timeout=deadline))
        except InferenceServerException as exception:
            if isinstance(error := typed(exception), TritonUnavailableError | TritonDeadlineError):
                return False
            raise error from None

    async def identity(self, *, deadline: float = _CALL_SECONDS) -> str | None:
        """What the server calls itself, None where nothing answers.

        Args:
            deadline: Seconds to wait for the answer.
        """
        try:
            metadata = await self._client.get_server_metadata(client_timeout=deadline)
        except InferenceServerException as exception:
            if isinstance(error := typed(exception), TritonUnavailableError | TritonDeadlineError):
                return None
            raise error from None
        return str(metadata.name)

    async def load(self, name: str, *, deadline: float = _LOAD_SECONDS) -> None:
        """Makes Triton read a model's folder again and serve what its version policy says.

        Returns when the new version is ready; an old one is let go afterwards, its calls finished.

        Args:
            name: The model.
            deadline: Seconds for the whole load.

        Raises:
            ModelLoadError: Triton refused it. What it served before, it still serves.
            ServingError: As `infer`, and `TritonSecretError`.
        """
        try:
            await self._client.load_model(name, headers=self._headers, client_timeout=deadline)
        except InferenceServerException as exception:
            error = typed(exception)
            if isinstance(error, InferenceFailedError | InvalidInferenceError):
                raise load_refusal(name, error) from None
            raise error from None

    async def unload(self, name: str, *, deadline: float = _CALL_SECONDS) -> None:
        """Makes Triton serve a model no longer; returns before its process has ended.

        Args:
            name: The model; one that is not loaded is no error.
            deadline: Seconds to wait for the answer.

        Raises:
            ServingError: As `infer`, and `TritonSecretError`.
        """
        try:
            await self._client.unload_model(name, headers=self._headers, client_timeout=deadline)
        except InferenceServerException as exception:
            raise typed(exception) from None

    async def index(self, *, deadline: float = _CALL_SECONDS) -> tuple[ModelVersionState, ...]:
        """What Triton knows of its repository, loaded or not.

        Args:
            deadline: Seconds to wait for the answer.

        Raises:
            ServingError: As `infer`, and `TritonSecretError`.
        """
        try:
            answer = await self._client.get_model_repository_index(
                headers=self._headers, client_timeout=deadline
            )
        except InferenceServerException as exception:
            raise typed(exception) from None
        return tuple(
            ModelVersionState(
                name=entry.name,
                version=int(entry.version or 0),
                ready=entry.state == "READY",
                reason=entry.reason,
            )
            for entry in answer.models
        )

    async def placements(
        self, name: str, *, deadline: float = _CALL_SECONDS
    ) -> tuple[Placement, ...]:
        """Where Triton runs a loaded model, each group of its instances by itself.

        Args:
            name: The model.
            deadline: Seconds to wait for the answer.

        Raises:
            ServingError: As `infer`.
        """
        try:
            answer = await self._client.get_model_config(name, client_timeout=deadline)
        except InferenceServerException as exception:
            raise typed(exception) from None
        groups = answer.config.instance_group
        return tuple(Placement(group.Kind.Name(group.kind), tuple(group.gpus)) for group in groups)

    async def statistics(
        self, name: str, *, deadline: float = _CALL_SECONDS
    ) -> Mapping[int, Traffic]:
        """What was asked of each loaded version of a model, since it was loaded, by anybody.

        Args:
            name: The model.
            deadline: Seconds to wait for the answer.

        Raises:
            ServingError: As `infer`.
        """
        try:
            answer = await self._client.get_inference_statistics(name, client_timeout=deadline)
        except InferenceServerException as exception:
            raise typed(exception) from None
        return {
            int(model.version): traffic_of(model.inference_stats) for model in answer.model_stats
        }

    def asked(self, name: str) -> Traffic:
        """What this client has asked of a model so far, as far as Triton counts it; no times."""
        return Traffic(self._answered[name], self._failed[name])

    async def infer(
        self,
        name: str,
        inputs: Mapping[str, npt.NDArray[np.generic]],
        *,
        outputs: Sequence[str] = (),
        version: int | None = None,
        deadline: float = INFER_SECONDS,
    ) -> Inference:
        """Runs a model.

        Args:
            name: The model.
            inputs: Every input by name, first axis the sample.
            outputs: The outputs wanted; empty: all of them.
            version: The version to ask; None: the one Triton serves to everybody.
            deadline: Seconds to wait for the answer.

        Returns:
            The outputs and the version that made them.

        Raises:
            TritonUnavailableError: Triton does not answer.
            TritonDeadlineError: It took longer than `deadline`.
            ModelNotServedError: It serves no such model or version.
            InvalidInferenceError: Names, shapes or types do not fit the model.
            StubDiedError: The model's process died.
            InferenceFailedError: The model failed on this request.
        """
        wanted = [InferRequestedOutput(output) for output in outputs]
        result = await self._infer(name, inputs, wanted, version, deadline)
        response = result.get_response()
        return Inference(
            version=int(response.model_version),
            outputs={output.name: result.as_numpy(output.name) for output in response.outputs},
        )

    async def classify(
        self,
        name: str,
        inputs: Mapping[str, npt.NDArray[np.generic]],
        *,
        output: str,
        class_count: int,
        beside: Sequence[str] = (),
        deadline: float = INFER_SECONDS,
    ) -> Classification:
        """Runs a model and lets Triton's classification extension name the best classes.

        Args:
            name: The model.
            inputs: Every input by name, first axis the sample.
            output: The output with the class scores, shape (N, C).
            class_count: How many classes a sample gets at most, best first.
            beside: Other outputs wanted, as they are.
            deadline: Seconds to wait for the answer.

        Returns:
            For each sample its best classes, and the other outputs.

        Raises:
            ServingError: As `infer`.
        """
        wanted = [InferRequestedOutput(output, class_count=class_count)]
        wanted += [InferRequestedOutput(other) for other in beside]
        result = await self._infer(name, inputs, wanted, None, deadline)
        lines = np.atleast_2d(result.as_numpy(output))
        return Classification(
            tuple(tuple(_class_score(line) for line in row) for row in lines),
            {other: result.as_numpy(other) for other in beside},
        )

    async def _infer(
        self,
        name: str,
        inputs: Mapping[str, npt.NDArray[np.generic]],
        wanted: list[InferRequestedOutput],
        version: int | None,
        deadline: float,
    ) -> InferResult:
        tensors = [_tensor(input_name, array) for input_name, array in inputs.items()]
        try:
            result = await self._client.infer(
                name,
                tensors,
                model_version="" if version is None else str(version),
                outputs=wanted or None,
                client_timeout=deadline,
            )
        except InferenceServerException as exception:
            error = typed(exception)
            self._failed[name] += isinstance(error, StubDiedError | InferenceFailedError)
            raise error from None
        self._answered[name] += 1
        return result


def _tensor(name: str, array: npt.NDArray[np.generic]) -> InferInput:
    data_type = np_to_triton_dtype(array.dtype)
    if data_type is None:
        raise InvalidInferenceError(
            f"input {name!r} has the element type {array.dtype}, which Triton does not know",
            advice="Convert it to the type that the model's metadata lists.",
        )
    tensor = InferInput(name, list(array.shape), data_type)
    tensor.set_data_from_numpy(np.ascontiguousarray(array))
    return tensor


def _class_score(line: bytes) -> ClassScore:
    # "0.981690:2:ship"; a label may have colons of its own.
    score, index, label = line.decode().split(":", 2)
    return ClassScore(label=label, index=int(index), score=float(score))
