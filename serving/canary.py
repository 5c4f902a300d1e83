"""A client that sends a share of its requests to a deployment's canary, and compares both."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from serving.answers import Classification, Inference
from serving.client import INFER_SECONDS, TritonClient
from serving.errors import InvalidInferenceError, ServingError

T = TypeVar("T")
_HASHED_BITS = 64


def canary_model(deployment: str) -> str:
    """The name in Triton of a deployment's canary.

    Args:
        deployment: The name of the deployment's own model.
    """
    return f"{deployment}--canary"


def is_chosen(key: str, share: float) -> bool:
    """Whether a request with this key belongs to the share; the same key always does or never.

    A key that belongs to a share belongs to every larger one, too.

    Args:
        key: The request's own name, or its user's.
        share: A share of all keys, in [0, 1].
    """
    digest = hashlib.sha256(key.encode()).digest()[: _HASHED_BITS // 8]
    return int.from_bytes(digest) < share * float(2**_HASHED_BITS)


@dataclass
class Calls:
    """What a client's calls of one model came to.

    Attributes:
        answered: How many were answered.
        failed: How many were not.
        seconds: What the answered ones took, as the client saw it.
    """

    answered: int = 0
    failed: int = 0
    seconds: float = 0.0


@dataclass
class Tally:
    """What a client saw of a deployment and its canary.

    Attributes:
        deployment: The calls of the deployment.
        canary: The calls of the canary.
        compared: Samples that both were asked.
        same_class: Those that both put into one class.
        max_absolute_difference: The largest difference of two scores.
    """

    deployment: Calls = field(default_factory=Calls)
    canary: Calls = field(default_factory=Calls)
    compared: int = 0
    same_class: int = 0
    max_absolute_difference: float = 0.0

    def compare(self, rows: Sequence[tuple[bool, float]]) -> None:
        """Counts samples, each with whether both agree on its class, and their difference."""
        self.compared += len(rows)
        self.same_class += sum(same for same, _ in rows)
        differences = [difference for _, difference in rows]
        self.max_absolute_difference = max(self.max_absolute_difference, *differences)


@dataclass(frozen=True)
class Sharing:
    """Which requests go where.

    Attributes:
        share: The share of requests that the canary gets, in [0, 1].
        compared: The share of those that the deployment is asked too, to see how far both agree;
            such a request waits for both.
        seed: Of the choice of requests without a key; None: another one each time.
    """

    share: float
    compared: float = 0.1
    seed: int | None = None

    def __post_init__(self) -> None:
        """Refuses what is no share.

        Raises:
            ValueError: A share is not in [0, 1].
        """
        if not (0 <= self.share <= 1 and 0 <= self.compared <= 1):
            raise ValueError("a share is in [0, 1]")


class CanaryClient:
    """Asks a deployment, or in its place its canary.

    A canary that fails, or was ended or promoted meanwhile, costs no answer: then the deployment is
    asked. Only a request that fits no model fails at once.

    Args:
        triton: The Triton that serves both.
        deployment: The name of the deployment's model.
        sharing: Which requests go where.

    Attributes:
        tally: What came of it so far.
    """

    def __init__(self, triton: TritonClient, deployment: str, sharing: Sharing) -> None:
        self._triton = triton
        self._deployment = deployment
        self._sharing = sharing
        # Which client is asked what is no secret.
        self._random = random.Random(sharing.seed)  # noqa: S311
        self.tally = Tally()

    async def infer(
        self,
        inputs: Mapping[str, npt.NDArray[np.generic]],
        *,
        key: str | None = None,
        output: str = "probabilities",
        beside: Sequence[str] = (),
        deadline: float = INFER_SECONDS,
    ) -> Inference:
        """Runs the deployment or its canary.

        Args:
            inputs: Every input by name, first axis the sample.
            key: Names the request, or its user: equal keys go to the same model. None: by chance.
            output: The output with the class scores, shape (N, C).
            beside: Other outputs wanted.
            deadline: Seconds to wait for each answer.

        Raises:
            ServingError: As `TritonClient.infer`, of the deployment.
        """

        def ask(model: str) -> Awaitable[Inference]:
            return self._triton.infer(model, inputs, outputs=(output, *beside), deadline=deadline)

        def compare(canary: Inference, deployment: Inference) -> list[tuple[bool, float]]:
            return _arrays_compared(canary.outputs[output], deployment.outputs[output])

        return await self._answer(key, ask, compare)

    async def classify(
        self,
        inputs: Mapping[str, npt.NDArray[np.generic]],
        *,
        output: str,
        class_count: int,
        key: str | None = None,
        beside: Sequence[str] = (),
        deadline: float = INFER_SECONDS,
    ) -> Classification:
        """Runs the deployment or its canary, and has Triton name the best classes.

        Args:
            inputs: Every input by name, first axis the sample.
            output: The output with the class scores, shape (N, C).
            class_count: How many classes a sample gets at most, best first.
            key: As for `infer`.
            beside: Other outputs wanted, as they are.
            deadline: Seconds to wait for each answer.

        Raises:
            ServingError: As `TritonClient.infer`, of the deployment.
        """

        def ask(model: str) -> Awaitable[Classification]:
            return self._triton.classify(
                model,
                inputs,
                output=output,
                class_count=class_count,
                beside=beside,
                deadline=deadline,
            )

        return await self._answer(key, ask, _rows_compared)

    async def _answer(
        self,
        key: str | None,
        ask: Callable[[str], Awaitable[T]],
        compare: Callable[[T, T], list[tuple[bool, float]]],
    ) -> T:
        if not self._goes_to_canary(key):
            return await _timed(self.tally.deployment, ask(self._deployment))
        try:
            found = await _timed(self.tally.canary, ask(canary_model(self._deployment)))
        except InvalidInferenceError:
            raise
        except ServingError:
            return await _timed(self.tally.deployment, ask(self._deployment))
        if self._random.random() < self._sharing.compared:
            try:
                other = await _timed(self.tally.deployment, ask(self._deployment))
            except ServingError:
                # There is an answer; that the deployment gives none is counted.
                return found
            self.tally.compare(compare(found, other))
        return found

    def _goes_to_canary(self, key: str | None) -> bool:
        share = self._sharing.share
        return self._random.random() < share if key is None else is_chosen(key, share)


async def _timed(calls: Calls, call: Awaitable[T]) -> T:
    start = time.perf_counter()
    try:
        answer = await call
    except InvalidInferenceError:
        raise  # The request's own fault.
    except ServingError:
        calls.failed += 1
        raise
    calls.answered += 1
    calls.seconds += time.perf_counter() - start
    return answer


def _arrays_compared(
    canary: npt.NDArray[Any], deployment: npt.NDArray[Any]
) -> list[tuple[bool, float]]:
    """Whether both have their largest score at the same place, and the largest difference."""
    return [
        (bool(ours.argmax() == theirs.argmax()), float(np.abs(ours - theirs).max()))
        for ours, theirs in zip(canary, deployment, strict=True)
    ]


def _rows_compared(canary: Classification, deployment: Classification) -> list[tuple[bool, float]]:
    """The same, of the classes that both name."""
    found = []
    for ours, theirs in zip(canary.rows, deployment.rows, strict=True):
        known = {each.index: each.score for each in theirs}
        both = [abs(each.score - known[each.index]) for each in ours if each.index in known]
        found.append((ours[0].index == theirs[0].index, max(both, default=0.0)))
    return found
