"""How fast the slicer's health answers while it slices."""

from __future__ import annotations

import time

import grpc
import numpy as np
from google.longrunning import operations_pb2, operations_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from sliceandpack.slicer.v1 import models_pb2, models_pb2_grpc, plans_pb2

PAUSE_SECONDS = 0.01


def health_latencies_ms(address: str, model: str, probes: int) -> list[float]:
    """Probes the slicer's health while it slices all classes of a model by gradient.

    Args:
        address: The slicer, ``host:port``.
        model: The model's name.
        probes: How many probes, one after the other, a hundredth of a second apart.

    Returns:
        Milliseconds of every probe.

    Raises:
        RuntimeError: The slicing ended before the last probe, or the health was not SERVING.
    """
    with grpc.insecure_channel(address) as channel:
        operations = operations_pb2_grpc.OperationsStub(channel)
        slicing = _start_slicing(channel, operations, model)
        health = health_pb2_grpc.HealthStub(channel)
        times = []
        for _ in range(probes):
            start = time.perf_counter()
            answer = health.Check(health_pb2.HealthCheckRequest())
            times.append((time.perf_counter() - start) * 1e3)
            if answer.status != health_pb2.HealthCheckResponse.SERVING:
                raise RuntimeError("the slicer was not SERVING while it sliced")
            time.sleep(PAUSE_SECONDS)
        request = operations_pb2.GetOperationRequest(name=slicing.name)
        if operations.GetOperation(request).done:
            raise RuntimeError("the slicing ended before the last probe: give it more steps")
        operations.CancelOperation(operations_pb2.CancelOperationRequest(name=slicing.name))
        return times


def _start_slicing(
    channel: grpc.Channel, operations: operations_pb2_grpc.OperationsStub, model: str
) -> operations_pb2.Operation:
    models = models_pb2_grpc.ModelsStub(channel)
    request = models_pb2.CreatePlanRequest(parent=model)
    request.plan.recipe.method, request.plan.recipe.steps = plans_pb2.METHOD_RATE, 10_000
    planning = models.CreatePlan(request)
    while not planning.done:
        planning = operations.WaitOperation(operations_pb2.WaitOperationRequest(name=planning.name))
    plan = plans_pb2.Plan()
    if not planning.response.Unpack(plan):
        raise RuntimeError(f"no plan: {planning.error.message}")
    slicing = models.SliceModel(models_pb2.SliceModelRequest(name=model, plan=plan.name))
    # The worker has read the model once the first progress is there.
    time.sleep(3.0)
    return slicing


def percentile(times: list[float], share: float) -> float:
    """Returns the value below which a share of the times lies."""
    return float(np.percentile(times, 100 * share))
