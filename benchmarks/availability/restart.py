"""How long a service takes from its start to SERVING."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from benchmarks.availability.ports import free_port

DEADLINE_SECONDS = 60.0


def restart_seconds(module: str, state: Path, runs: int) -> list[float]:
    """Starts a service again and again over the state of the run before.

    Args:
        module: What ``python -m`` runs.
        state: Its state folder, kept between the runs.
        runs: How many runs are timed; one more comes first, which makes the state.

    Returns:
        Seconds from the start of the process to the first SERVING, a figure a run.
    """
    return [_timed(module, state) for _ in range(runs + 1)][1:]


def _timed(module: str, state: Path) -> float:
    address = f"127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", module, "--address", address, "--state-dir", str(state)]
    start = time.perf_counter()
    with (state.parent / f"{module}.log").open("ab") as log:
        process = subprocess.Popen(command, stderr=log)  # noqa: S603
    try:
        while time.perf_counter() - start < DEADLINE_SECONDS:
            if _serving(address):
                return time.perf_counter() - start
            time.sleep(0.01)
        raise RuntimeError(f"{module} did not serve within {DEADLINE_SECONDS:g} seconds")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _serving(address: str) -> bool:
    with grpc.insecure_channel(address) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), timeout=1.0
            )
        except grpc.RpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
