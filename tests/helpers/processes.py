"""Real processes of the services, that a test can kill and start again on the same ports."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from benchmarks.availability.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
TRITON = ROOT / ".triton"
START_SECONDS = 60.0


@dataclass(eq=False)
class ServiceProcess:
    """One service, started with a fixed port so that a restart is found again.

    Attributes:
        module: What ``python -m`` runs.
        folder: Its state, its ready file and its log.
        options: Further options.
        port: Its gRPC port.
    """

    module: str
    folder: Path
    options: Sequence[str] = ()
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self.port}"

    @property
    def ready_file(self) -> Path:
        """Where it writes its addresses."""
        return self.folder / "ready.json"

    def start(self) -> Mapping[str, Any]:
        """Starts it; returns the content of its ready file once it serves."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ready_file.unlink(missing_ok=True)
        command = [sys.executable, "-m", self.module, "--address", self.address]
        command += ["--ready-file", str(self.ready_file)]
        command += ["--state-dir", str(self.folder / "state"), *self.options]
        with (self.folder / "log.jsonl").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.ready_file.exists():
                found: Mapping[str, Any] = json.loads(self.ready_file.read_text())
                return found
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"{self.module} did not start:\n{self.log()[-4000:]}")

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Runs it as long as the block lasts, whatever comes of its start or of the block."""
        try:
            self.start()
            yield self
        finally:
            self.stop()

    def log(self) -> str:
        """Returns what it logged so far."""
        return (self.folder / "log.jsonl").read_text()

    def kill(self) -> None:
        """Ends it at once, as a crash would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Asks it to end; returns its exit code."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(40)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


@dataclass(eq=False)
class Market:
    """Slicer, packer and reconciler with an embedded Triton.

    Attributes:
        folder: Their state.
    """

    folder: Path
    triton: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Chooses the ports."""
        self.slicer = ServiceProcess("slicer_svc", self.folder / "slicer")
        slicer = json.dumps({"address": self.slicer.address})
        self.packer = ServiceProcess("packer_svc", self.folder / "packer", ["--slicer", slicer])
        packer = json.dumps({"address": self.packer.address})
        ports = [
            option
            for name in ("grpc", "http")
            for option in (f"--triton-{name}-port", str(free_port()))
        ]
        self.reconciler = ServiceProcess(
            "serving.reconciler",
            self.folder / "reconciler",
            [
                "--packer",
                packer,
                "--embedded",
                "--triton-environment",
                str(ROOT / ".triton"),
                *ports,
            ],
        )

    def start(self) -> None:
        """Starts all three, in the order in which they need each other."""
        self.slicer.start()
        self.packer.start()
        self.triton = self.reconciler.start()

    def stop(self) -> None:
        """Stops all three in the reverse order, even where one does not end."""
        failures = []
        for process in (self.reconciler, self.packer, self.slicer):
            try:
                process.stop()
            except subprocess.TimeoutExpired as error:
                failures.append(error)
        if failures:
            raise failures[0]

    @property
    def triton_grpc(self) -> str:
        """Triton's gRPC address."""
        return str(self.triton["triton_grpc"])

    @property
    def triton_http(self) -> str:
        """Triton's HTTP address."""
        return str(self.triton["triton_http"])


def children_of(pid: int) -> list[int]:
    """Returns the processes that a process has started and that still run, with theirs."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == pid and fields[0] != "Z":
                found += [int(entry.name), *children_of(int(entry.name))]
    return found


def command_of(pid: int) -> str:
    """Returns a process's command line; nothing of one that has ended."""
    with suppress(OSError):
        return (Path("/proc") / str(pid) / "cmdline").read_text().replace("\0", " ")
    return ""


def end(pid: int) -> None:
    """Kills a process that a service started."""
    os.kill(pid, signal.SIGKILL)
