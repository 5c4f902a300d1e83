"""Measures two deployments against each other through the same Triton."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

import tritonclient.grpc as triton

from benchmarks.demo.digits import Images

ROUNDS = 200
WARM_UP = 20


def median_latencies_ms(address: str, names: Sequence[str], images: Images) -> list[float]:
    """Sends single images to each deployment in turn, one caller, and takes each one's median.

    Args:
        address: Triton's gRPC port, ``host:port``.
        names: The deployments; taking turns lets a noisy machine hit them alike.
        images: (n, 1, 8, 8).

    Returns:
        Milliseconds from request to answer, one figure a deployment.
    """
    times: dict[str, list[float]] = {name: [] for name in names}
    with triton.InferenceServerClient(address) as client:
        for turn in range(WARM_UP + ROUNDS):
            image = images[turn % len(images)][None]
            tensor = triton.InferInput("image", list(image.shape), "FP32")
            tensor.set_data_from_numpy(image)
            for name in names:
                start = time.perf_counter()
                client.infer(name, [tensor])
                if turn >= WARM_UP:
                    times[name].append((time.perf_counter() - start) * 1e3)
    return [statistics.median(times[name]) for name in names]
