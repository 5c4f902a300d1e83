"""Processes that are started, kept and stopped, with a tiny server in place of each service."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from marketctl.stack import NAMES, Facts, Ports, Stack, refuse_taken, sole_user
from marketctl.supervisor import Supervisor
from svckit.errors import FailedPrecondition, Unavailable
from tests.helpers import health_process
from tests.helpers.command_line import marketctl

DEADLINE = 30.0


@dataclass(frozen=True)
class TinyStack(Stack):
    """The same processes, each a server that only tells its health."""

    modes: dict[str, str] = field(default_factory=dict)

    def command(self, name: str, facts: Facts) -> Sequence[str]:
        known = facts.get(name)
        port = known["address"].rpartition(":")[2] if known else "0"
        mode = self.modes.get(name, "serve")
        return [sys.executable, health_process.__file__, str(self.ready_file(name)), port, mode]


def tiny(folder: Path, **modes: str) -> TinyStack:
    return TinyStack(folder, folder, Ports(), modes)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in other processes.
            await asyncio.sleep(0.02)


@asynccontextmanager
async def running(stack: Stack, said: list[str]) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(stack, said.append, lambda: said.append("changed"))
    try:
        await supervisor.start()
        task = asyncio.create_task(supervisor.run())
        yield supervisor
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    finally:
        await supervisor.stop()


async def test_a_killed_process_is_started_again_where_it_was(tmp_path: Path) -> None:
    said: list[str] = []
    async with running(tiny(tmp_path), said) as supervisor:
        before, address = supervisor.pids, supervisor.facts["packer"]["address"]
        os.kill(before["packer"], signal.SIGKILL)
        await until(lambda: "changed" in said)
        assert supervisor.facts["packer"]["address"] == address
        assert supervisor.pids["packer"] != before["packer"]
        assert supervisor.pids["slicer"] == before["slicer"]
    assert any("packer was ended by SIGKILL; starting it again" in line for line in said)


async def test_processes_stop_in_the_reverse_order_of_their_start(tmp_path: Path) -> None:
    said: list[str] = []
    stack = tiny(tmp_path)
    async with running(stack, said):
        pass
    expected = [f"Starting the {name}." for name in NAMES]
    assert said == expected + [f"Stopping the {name}." for name in reversed(NAMES)]
    assert all("told to stop" in stack.log(name).read_text() for name in NAMES)


async def test_a_process_that_cannot_start_says_why_and_leaves_none_behind(tmp_path: Path) -> None:
    said: list[str] = []
    supervisor = Supervisor(tiny(tmp_path, packer="fail"), said.append, lambda: None)
    try:
        with pytest.raises(Unavailable, match=r"packer ended with exit code 3.*the moon is full"):
            await supervisor.start()
    finally:
        await supervisor.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(supervisor.pids["slicer"], 0)


async def test_a_second_signal_ends_all_at_once(tmp_path: Path) -> None:
    async with running(tiny(tmp_path), []) as supervisor:
        os.kill(supervisor.pids["slicer"], signal.SIGSTOP)  # It would not stop in order.
        stopping = asyncio.create_task(supervisor.stop())
        await asyncio.sleep(0)
        supervisor.kill()
        async with asyncio.timeout(DEADLINE):
            await stopping


async def test_no_process_outlives_a_killed_parent(tmp_path: Path) -> None:
    script = (
        "import asyncio, json, sys\n"
        "from pathlib import Path\n"
        "from marketctl.supervisor import Supervisor\n"
        "from tests.marketctl.test_supervisor import tiny\n"
        "async def main():\n"
        "    supervisor = Supervisor(tiny(Path(sys.argv[1])), str, dict)\n"
        "    await supervisor.start()\n"
        "    print(json.dumps(supervisor.pids), flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    parent = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    with parent.stdout:
        pids = json.loads(parent.stdout.readline())
    parent.kill()
    parent.wait()
    logs = [tiny(tmp_path).log(name) for name in NAMES]
    await until(lambda: all("told to stop" in log.read_text() for log in logs))
    assert set(pids) == set(NAMES)


def test_a_taken_port_is_named_before_anything_starts() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(FailedPrecondition, match=rf"{port} \(the packer\)"):
            refuse_taken(
                Ports(slicer=0, packer=port, triton_grpc=0, triton_http=0, triton_metrics=0)
            )


def test_two_do_not_share_a_state_folder(tmp_path: Path) -> None:
    with sole_user(tmp_path / "var"):
        ended = marketctl("up", "--state-dir", tmp_path / "var", "--free-ports")
    assert ended.code == 5
    assert "Another `marketctl up`" in ended.err


def test_a_restarted_reconciler_keeps_triton_where_clients_know_it(tmp_path: Path) -> None:
    stack = Stack(tmp_path, tmp_path, Ports(0, 0, 0, 0, 0))
    packer = {"packer": {"address": "127.0.0.1:5"}}
    known = {"reconciler": {"triton_grpc": "127.0.0.1:61", "triton_http": "127.0.0.1:62"}}
    assert "--triton-grpc-port=0" in stack.command("reconciler", packer)
    again = stack.command("reconciler", packer | known)
    assert {"--triton-grpc-port=61", "--triton-http-port=62"} <= set(again)
