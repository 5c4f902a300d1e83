"""How much memory is gone for good when packs are loaded and unloaded again and again."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc
import tritonclient.grpc as triton
from google.longrunning import operations_pb2_grpc
from sliceandpack.packer.v1 import deployments_pb2, deployments_pb2_grpc

from benchmarks.availability.switches import finished
from benchmarks.serve.processes import tree

WARM_UP = 20
"""Cycles before the first look: libraries are loaded once, pools grow to their size."""

UNLOAD_SECONDS = 60.0
PROGRAMS = {"triton": "tritonserver", "reconciler": "serving.reconciler"}


@dataclass(frozen=True)
class Growth:
    """Resident memory of one process.

    Attributes:
        before: After the warm-up, in bytes.
        after: After all cycles, in bytes.
    """

    before: int
    after: int

    @property
    def bytes(self) -> int:
        """What was added."""
        return self.after - self.before


def processes_of(parent: int) -> dict[str, int]:
    """Finds Triton and its reconciler among what a process has started.

    Args:
        parent: The process.

    Returns:
        Process ids by the keys of `PROGRAMS`.

    Raises:
        RuntimeError: One of them does not run.
    """
    found = {}
    for pid in tree(parent):
        arguments = (Path("/proc") / str(pid) / "cmdline").read_bytes().decode().split("\0")
        for name, program in PROGRAMS.items():
            if Path(arguments[0]).name == program or arguments[1:3] == ["-m", program]:
                found[name] = pid
    if len(found) != len(PROGRAMS):
        raise RuntimeError(f"of {', '.join(PROGRAMS)} only {', '.join(found) or 'none'} runs")
    return found


def growth_over_cycles(
    addresses: tuple[str, str], processes: Mapping[str, int], packs: Sequence[str], cycles: int
) -> dict[str, Growth]:
    """Deploys and deletes packs in turns, each load and unload waited for.

    Args:
        addresses: The packer and Triton's gRPC port, ``host:port``.
        processes: Whose memory is looked at, by name.
        packs: The packs, taken in turns.
        cycles: How many are counted; `WARM_UP` come before them.

    Raises:
        RuntimeError: A deployment failed, or was not unloaded.
    """
    packer, served = addresses
    with grpc.insecure_channel(packer) as channel, triton.InferenceServerClient(served) as client:
        for turn in range(WARM_UP):
            _cycle(channel, client, packs[turn % len(packs)])
        before = {name: rss_bytes(pid) for name, pid in processes.items()}
        for turn in range(cycles):
            _cycle(channel, client, packs[turn % len(packs)])
        return {name: Growth(before[name], rss_bytes(pid)) for name, pid in processes.items()}


def rss_bytes(pid: int) -> int:
    """Returns the memory that a process has in use now."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"process {pid} has ended")


def _cycle(channel: grpc.Channel, client: triton.InferenceServerClient, pack: str) -> None:
    deployments = deployments_pb2_grpc.DeploymentsStub(channel)
    request = deployments_pb2.CreateDeploymentRequest(deployment_id="cycled")
    request.deployment.pack = pack
    operations = operations_pb2_grpc.OperationsStub(channel)
    finished(operations, deployments.CreateDeployment(request))
    delete = deployments_pb2.DeleteDeploymentRequest(name="deployments/cycled")
    deployments.DeleteDeployment(delete)
    deadline = time.monotonic() + UNLOAD_SECONDS
    while client.is_model_ready("cycled"):
        if time.monotonic() > deadline:
            raise RuntimeError("a deleted deployment goes on being served")
        time.sleep(0.01)
