"""Clients in processes of their own, each sending one request after the other."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection

import numpy as np
import tritonclient.grpc as triton
from numpy.typing import NDArray
from tritonclient.utils import np_to_triton_dtype

INPUT = "image"
Images = NDArray[np.float32] | NDArray[np.uint8]
WARM_UP = 3
"""Requests of every client before its time begins."""


@dataclass(frozen=True)
class Order:
    """What all clients are to do.

    Attributes:
        model: The model's name in Triton.
        batch: Images of a request.
        seconds: For how long.
        in_bytes: Whether its images are bytes.
    """

    model: str
    batch: int
    seconds: float
    in_bytes: bool = False


class Clients:
    """Clients that wait for orders.

    Args:
        pipes: One end to each of them.
    """

    def __init__(self, pipes: Sequence[Connection]) -> None:
        self._pipes = pipes

    def images_per_second(self, order: Order, count: int | None = None) -> float:
        """Lets clients work at the same time.

        Args:
            order: What to do.
            count: How many of them; all by default.

        Returns:
            What they were answered together.

        Raises:
            RuntimeError: A request failed.
        """
        chosen = self._pipes[:count]
        for pipe in chosen:
            pipe.send(order)
        total = 0.0
        for pipe in chosen:
            found = pipe.recv()
            if isinstance(found, str):
                raise RuntimeError(f"a request to {order.model} failed: {found}")
            total += found
        return total


@contextmanager
def clients_of(address: str, images: Sequence[Images], count: int) -> Iterator[Clients]:
    """Starts clients and ends them.

    Args:
        address: Triton's gRPC port, ``host:port``.
        images: What they send, `(n, 3, h, w)` in float32 and in bytes.
        count: How many.
    """
    context = multiprocessing.get_context("spawn")
    pairs = [context.Pipe() for _ in range(count)]
    processes = [
        context.Process(target=_work, args=(address, images, theirs), daemon=True)
        for _, theirs in pairs
    ]
    for process in processes:
        process.start()
    pipes = [ours for ours, _ in pairs]
    try:
        yield Clients(pipes)
    finally:
        for pipe, process in zip(pipes, processes, strict=True):
            pipe.send(None)
            process.join(timeout=10)


def _work(address: str, images: Sequence[Images], pipe: Connection) -> None:
    with triton.InferenceServerClient(address) as client:
        while (order := pipe.recv()) is not None:
            try:
                pipe.send(_rate(client, images[order.in_bytes], order))
            except triton.InferenceServerException as error:
                pipe.send(str(error))


def _rate(client: triton.InferenceServerClient, images: Images, order: Order) -> float:
    batches = [
        images[start : start + order.batch]
        for start in range(0, len(images) - order.batch + 1, order.batch)
    ]
    for number in range(WARM_UP):
        _ask(client, order.model, batches[number % len(batches)])
    answered, start = 0, time.perf_counter()
    while (spent := time.perf_counter() - start) < order.seconds:
        _ask(client, order.model, batches[answered % len(batches)])
        answered += 1
    return answered * order.batch / spent


def _ask(client: triton.InferenceServerClient, model: str, images: Images) -> NDArray[np.float32]:
    tensor = triton.InferInput(INPUT, list(images.shape), np_to_triton_dtype(images.dtype))
    tensor.set_data_from_numpy(images)
    answer: NDArray[np.float32] = client.infer(model, [tensor]).as_numpy("probabilities")
    return answer
