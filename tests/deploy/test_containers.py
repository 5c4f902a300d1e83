"""One server in a container: light at rest, without rights, and drained at its end."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from sliceandpack.artifact.v1 import artifacts_pb2, artifacts_pb2_grpc

from benchmarks.availability.ports import free_port
from svckit.clients.artifacts import upload
from tests.helpers.containers import Container, container, docker

pytestmark = [pytest.mark.container, pytest.mark.timeout(300)]

MEGABYTE = 1_000_000
START_CPU_SECONDS = 15.0
# What all processes of the container took so far, in seconds; control groups 1, then 2.
CPU_SECONDS = """
from pathlib import Path
one, two = (Path("/sys/fs/cgroup") / name for name in ("cpuacct/cpuacct.usage", "cpu.stat"))
print(int(one.read_text()) / 1e9 if one.exists() else int(two.read_text().split()[1]) / 1e6)
"""


@pytest.fixture(scope="module", params=["slicer", "packer"])
def server(request: pytest.FixtureRequest) -> Iterator[Container]:
    """A server that has just become ready."""
    insecure = f"{request.param.upper()}_INSECURE=true"
    with container(request.param, "--env", insecure) as started:
        seconds = started.until_ready()
        sys.stderr.write(f"{request.param}: ready after {seconds:.1f} s\n")
        yield started


def test_a_server_is_ready_soon_and_light_at_rest(server: Container) -> None:
    # Processor time: a busy machine makes everything else late.
    cpu_seconds = float(server.python(CPU_SECONDS))
    resident = server.resident_bytes() / MEGABYTE
    sys.stderr.write(f"{cpu_seconds:.1f} s of CPU, {resident:.0f} MB resident\n")
    assert cpu_seconds < START_CPU_SECONDS
    assert resident < 120


def test_a_server_has_no_rights_and_can_write_nowhere_but_in_its_volume(server: Container) -> None:
    status = dict(
        line.split(":", 1) for line in server.execute("cat", "/proc/1/status").splitlines()
    )
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    assert status["Uid"].split() == ["10001"] * 4
    assert status["NoNewPrivs"].strip() == "1"
    for folder, writable in (("/var/lib/slice-and-pack", "0"), ("/opt", "1"), ("/etc", "1")):
        attempt = f"touch {folder}/attempt 2>/dev/null; test $? -ne 0; echo $?"
        found = server.execute("sh", "-c", attempt).strip()
        assert found != writable, folder


async def test_a_download_under_way_outlives_sigterm() -> None:
    port, content = free_port(), os.urandom(24 * MEGABYTE)
    options = ("--env", "SLICER_INSECURE=true", "--publish", f"127.0.0.1:{port}:7101")
    with container("slicer", *options) as slicer:
        slicer.until_ready()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            artifact = await upload(channel, content)
            stub: Any = artifacts_pb2_grpc.ArtifactsStub(channel)
            stream = stub.Read(artifacts_pb2.ReadRequest(name=artifact.name))
            received = hashlib.sha256((await stream.read()).data)
            docker("kill", "--signal", "TERM", slicer.name)
            await asyncio.sleep(2)  # Longer than a server takes to end that drains nothing.
            assert slicer.state()["Running"]
            while (chunk := await stream.read()) != grpc.aio.EOF:
                received.update(chunk.data)
        assert received.hexdigest() == hashlib.sha256(content).hexdigest()
        assert docker("wait", slicer.name).stdout.strip() == "0"
        assert '"stopped"' in slicer.logs()
