"""The command line that the chart gives Triton, given to a real one."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from serving.client import TritonClient
from serving.embedded.backends import assemble_backends
from serving.embedded.command import Ports, free_ports
from serving.errors import TritonSecretError
from tests.helpers.chart.parts import of_kind
from tests.helpers.chart.rendering import manifests
from tests.helpers.triton import triton_environment

pytestmark = pytest.mark.chart

SECRET = "a-word-that-only-the-reconciler-knows"


@pytest.fixture(scope="module")
def address(rendered: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The gRPC address of a Triton that runs with the laptop profile's arguments."""
    root = tmp_path_factory.mktemp("triton")
    (root / "models").mkdir()
    environment = triton_environment()
    assemble_backends(environment, root / "backends")
    ports = free_ports(Ports())
    (workload,) = of_kind(manifests(rendered["laptop"]), "StatefulSet")
    (container,) = workload["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["tritonserver"]
    changes = {
        "0.0.0.0": "127.0.0.1",
        "-port=8000": f"-port={ports.http}",
        "-port=8001": f"-port={ports.grpc}",
        "-port=8002": f"-port={ports.metrics}",
        "/var/lib/slice-and-pack": str(root),
        "$(TRITON_SECRET)": SECRET,
    }
    arguments = container["args"]
    for before, after in changes.items():
        assert any(before in argument for argument in arguments), before
        arguments = [argument.replace(before, after) for argument in arguments]
    log = root / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [environment.server, *arguments, f"--backend-directory={root / 'backends'}"],
            env=environment.variables(),
            stdout=output,
            stderr=output,
        )
    try:
        _until_serving(f"127.0.0.1:{ports.grpc}", process, log)
        yield f"127.0.0.1:{ports.grpc}"
    finally:
        process.terminate()
        process.wait(40)


def test_the_probes_of_the_chart_find_triton_serving(address: str) -> None:
    with grpc.insecure_channel(address) as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_connections_end_soon_and_no_call_with_them(address: str) -> None:
    """Or a client would never hear of new pods, nor of one that is to stop."""
    states: list[grpc.ChannelConnectivity] = []
    with grpc.insecure_channel(address) as channel:
        channel.subscribe(states.append)
        stub = health_pb2_grpc.HealthStub(channel)
        deadline = time.monotonic() + 10
        while states.count(grpc.ChannelConnectivity.READY) < 3:
            assert time.monotonic() < deadline, states
            answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=5)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_only_who_knows_the_secret_reaches_the_repository(address: str) -> None:
    async with TritonClient(address, secret=SECRET) as reconciler:
        assert await reconciler.index() == ()
    async with TritonClient(address) as anybody:
        with pytest.raises(TritonSecretError):
            await anybody.index()


def _until_serving(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    async def live() -> bool:
        async with TritonClient(address) as client:
            return await client.is_live(deadline=1)

    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        if asyncio.run(live()):
            return
        time.sleep(0.05)
    raise AssertionError(log.read_text())
