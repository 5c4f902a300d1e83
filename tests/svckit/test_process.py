import asyncio
import json
import os
import re
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Any

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from svckit.clients.channel import channel
from svckit.clients.settings import ClientSettings
from svckit.process import ExitCode
from tests.helpers.loopback import loopback


async def mill(*options: str) -> Process:
    """Starts a server process."""
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.helpers.mill", *options, stderr=PIPE, env=dict(os.environ)
    )


async def ended(process: Process) -> tuple[int | None, str]:
    """Returns the exit code and standard error of a process once it has ended."""
    _, errors = await asyncio.wait_for(process.communicate(), 30)
    return process.returncode, errors.decode()


async def logged(process: Process) -> dict[str, Any]:
    """Returns the next log line of a process."""
    assert process.stderr is not None
    line: dict[str, Any] = json.loads(await asyncio.wait_for(process.stderr.readline(), 30))
    return line


async def test_a_process_serves_until_sigterm_and_logs_json(tmp_path: Path) -> None:
    ready = tmp_path / "ready.json"
    process = await mill("--ready-file", str(ready))
    serving = await logged(process)
    content = json.loads(ready.read_text())
    address = content["address"]
    assert content["pid"] == process.pid
    async with channel(ClientSettings(address=address)) as opened:
        answer = await health_pb2_grpc.HealthStub(opened).Check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    process.terminate()
    code, errors = await ended(process)
    assert code == ExitCode.STOPPED
    lines = [serving, *(json.loads(line) for line in errors.splitlines())]
    assert [line["event"] for line in lines] == ["serving", "stopping", "stopped"]
    assert {line["process"] for line in lines} == {"mill"}
    assert lines[0]["address"] == address
    assert lines[0]["level"] == "info"
    assert not ready.exists()


@pytest.mark.parametrize("server", ["slicer_svc", "packer_svc", "serving.reconciler"])
async def test_a_server_heeds_sigterm_before_it_has_imported_what_it_needs(server: str) -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", server, stderr=PIPE)
    folder = Path("/proc") / str(process.pid)
    until_sigterm_is_caught(folder)
    assert "cygrpc" not in (folder / "maps").read_text()
    process.terminate()
    assert (await ended(process))[0] == ExitCode.STOPPED


def until_sigterm_is_caught(folder: Path) -> None:
    """Waits until a process, by its folder in /proc, has a handler; looks often, not to miss it."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        (caught,) = re.findall(r"^SigCgt:\s*(\w+)$", (folder / "status").read_text(), re.MULTILINE)
        if int(caught, 16) >> (signal.SIGTERM - 1) & 1:
            return
        time.sleep(0.001)
    raise AssertionError("it never asked for the signal")


async def test_a_second_signal_ends_a_process_that_is_stuck() -> None:
    process = await mill("--stuck")
    assert (await logged(process))["event"] == "serving"
    process.send_signal(signal.SIGINT)
    assert (await logged(process))["event"] == "stopping"
    process.send_signal(signal.SIGINT)
    code, errors = await ended(process)
    assert code == 128 + signal.SIGINT
    assert json.loads(errors.splitlines()[-1])["event"] == "forced to end"


async def test_exit_codes_tell_why_a_process_could_not_start_or_stop() -> None:
    async with loopback() as server:
        stuck, taken, exposed = await asyncio.gather(
            mill("--stuck", "--close-seconds", "0.1"),
            mill("--address", server.address),
            mill("--address", "0.0.0.0:0"),
        )
        code, errors = await ended(taken)
        assert code == ExitCode.STARTUP
        assert (
            f"Cannot listen on {server.address}" in json.loads(errors.splitlines()[-1])["problem"]
        )
    code, errors = await ended(exposed)
    assert code == ExitCode.SETTINGS
    assert errors.startswith("mill: ")
    assert "can be reached from other machines without TLS" in errors
    assert "Traceback" not in errors
    assert (await logged(stuck))["event"] == "serving"
    stuck.terminate()
    code, _ = await ended(stuck)
    assert code == ExitCode.UNCLEAN
