"""Switches a deployment under load, and counts what clients notice."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import grpc
import numpy as np
import tritonclient.grpc as triton
from google.longrunning import operations_pb2, operations_pb2_grpc
from sliceandpack.packer.v1 import deployments_pb2, deployments_pb2_grpc
from tritonclient.utils import InferenceServerException


@dataclass
class Load:
    """What the clients met.

    Attributes:
        answered: How many requests were answered.
        errors: What the others got.
    """

    answered: int = 0
    errors: list[str] = field(default_factory=list)


@contextmanager
def clients_at(address: str, model: str, count: int) -> Iterator[Load]:
    """Lets clients send one request after the other, as long as the block lasts.

    Args:
        address: Triton's gRPC port, ``host:port``.
        model: The deployment's name in Triton.
        count: How many clients, each with a connection of its own.
    """
    load, stop, lock = Load(), threading.Event(), threading.Lock()
    image = np.zeros((1, 1, 8, 8), np.float32)

    def send() -> None:
        with triton.InferenceServerClient(address) as client:
            tensor = triton.InferInput("image", [1, 1, 8, 8], "FP32")
            tensor.set_data_from_numpy(image)
            while not stop.is_set():
                try:
                    client.infer(model, [tensor])
                except InferenceServerException as error:
                    with lock:
                        load.errors.append(str(error))
                else:
                    with lock:
                        load.answered += 1

    threads = [threading.Thread(target=send) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def switch_in_turns(address: str, deployment: str, packs: Sequence[str], count: int) -> None:
    """Switches a deployment from pack to pack, each switch waited for.

    Args:
        address: The packer, ``host:port``.
        deployment: The deployment's name.
        packs: The packs, taken in turns.
        count: How many switches.

    Raises:
        RuntimeError: A switch failed.
    """
    with grpc.insecure_channel(address) as channel:
        for turn in range(count):
            switch_to(channel, deployment, packs[(turn + 1) % len(packs)])


def switch_to(channel: grpc.Channel, deployment: str, pack: str) -> None:
    """Switches a deployment to a pack and waits for it.

    Args:
        channel: A channel to the packer.
        deployment: The deployment's name.
        pack: The pack.

    Raises:
        RuntimeError: The switch failed.
    """
    request = deployments_pb2.UpdateDeploymentRequest()
    request.deployment.name, request.deployment.pack = deployment, pack
    request.update_mask.paths.append("pack")
    started = deployments_pb2_grpc.DeploymentsStub(channel).UpdateDeployment(request)
    finished(operations_pb2_grpc.OperationsStub(channel), started)


def finished(
    operations: operations_pb2_grpc.OperationsStub, operation: operations_pb2.Operation
) -> None:
    """Waits for an operation.

    Args:
        operations: The packer's.
        operation: The operation.

    Raises:
        RuntimeError: It failed.
    """
    while not operation.done:
        wait = operations_pb2.WaitOperationRequest(name=operation.name)
        operation = operations.WaitOperation(wait)
    if operation.HasField("error"):
        raise RuntimeError(f"{operation.name} failed: {operation.error.message}")
