"""Containers of the images that `make images` built, through the engine's command line."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from benchmarks.availability.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
HARDENED = (
    *("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL"),
    *("--security-opt", "no-new-privileges", "--pids-limit", "512", "--memory", "4g"),
)
START_SECONDS = 90.0
# What all processes of a container took so far, in seconds; control groups 1, then 2.
_CPU_SECONDS = """
from pathlib import Path
one, two = (Path("/sys/fs/cgroup") / name for name in ("cpuacct/cpuacct.usage", "cpu.stat"))
print(int(one.read_text()) / 1e9 if one.exists() else int(two.read_text().split()[1]) / 1e6)
"""
_PORTS = ("SLICER", "SLICER_METRICS", "PACKER", "PACKER_METRICS", "RECONCILER_METRICS")
_TRITON_PORTS = ("TRITON_HTTP", "TRITON_GRPC", "TRITON_METRICS")


def run(
    command: Sequence[str], variables: Mapping[str, str] = {}, *, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Runs a command; one that fails fails the test with what it said."""
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        cwd=ROOT,
        env={**os.environ, **variables},
    )
    assert not check or done.returncode == 0, f"{shlex.join(command)}:\n{done.stdout}{done.stderr}"
    return done


def docker(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Runs the container engine."""
    return run([*shlex.split(os.environ.get("DOCKER", "docker")), *arguments], check=check)


def image(name: str) -> str:
    """The image of a target of the Dockerfile."""
    prefix = os.environ.get("IMAGE_PREFIX", "slice-and-pack")
    return f"{prefix}/{name}:{os.environ.get('IMAGE_TAG', 'dev')}"


@dataclass(frozen=True)
class Container:
    """One container, running or ended.

    Attributes:
        name: What the engine calls it.
    """

    name: str

    def execute(self, *command: str) -> str:
        """Runs a command in it; returns what it printed."""
        return docker("exec", self.name, *command).stdout

    def python(self, code: str) -> str:
        """Runs Python in it, as its service does."""
        return self.execute("python3", "-P", "-c", code).strip()

    def logs(self) -> str:
        """What it logged so far."""
        done = docker("logs", self.name)
        return done.stdout + done.stderr

    def state(self) -> Mapping[str, Any]:
        """What the engine knows of its state."""
        (found,) = json.loads(docker("inspect", self.name).stdout)
        state: Mapping[str, Any] = found["State"]
        return state

    def is_ready(self) -> bool:
        """Whether its own health check passes."""
        check = ("python3", "-P", "-m", "svckit.ready", "/tmp/ready.json")
        return docker("exec", self.name, *check, check=False).returncode == 0

    def until_ready(self) -> float:
        """Waits for its health check; returns the seconds that it waited."""
        begun = time.monotonic()
        while not self.is_ready():
            assert self.state()["Running"], self.logs()[-4000:]
            assert time.monotonic() - begun < START_SECONDS, self.logs()[-4000:]
            time.sleep(0.5)  # Each look is a process of its own.
        return time.monotonic() - begun

    def cpu_seconds(self) -> float:
        """The processor time of all its processes so far."""
        return float(self.python(_CPU_SECONDS))

    def resident_bytes(self) -> int:
        """The memory that its first process has in use, its workers not counted."""
        status = self.execute("cat", "/proc/1/status")
        (line,) = (line for line in status.splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) * 1024


class Stack(Protocol):
    """All services in containers, however they were started."""

    def restart(self) -> None:
        """Ends all in order, starts them again, and waits until they are ready."""

    def container(self, service: str) -> Container:
        """The container of a service."""

    def address(self, port: str) -> str:
        """Where a port is published: SLICER, PACKER, TRITON_GRPC or RECONCILER_METRICS."""


def options(stack: Stack) -> tuple[str, ...]:
    """The options by which marketctl finds a stack."""
    slicer, packer = stack.address("SLICER"), stack.address("PACKER")
    triton = stack.address("TRITON_GRPC")
    return ("--slicer", slicer, "--packer", packer, "--triton", triton, "-o", "json")


@contextmanager
def container(target: str, *options: str) -> Iterator[Container]:
    """Starts a hardened container of an image, removed at the end.

    Args:
        target: The image.
        options: What the engine is told; after ``--``, what the container's process is told.
    """
    split = options.index("--") if "--" in options else len(options)
    begin = ("run", "--detach", *HARDENED, *options[:split], image(target), *options[split + 1 :])
    started = Container(docker(*begin).stdout.strip())
    try:
        yield started
    finally:
        docker("rm", "--force", "--volumes", started.name)


def ended(target: str, *options: str) -> tuple[int, str]:
    """Runs a container that ends by itself; returns its exit code and its log."""
    with container(target, *options) as started:
        code = int(docker("wait", started.name).stdout)
        return code, started.logs()


@dataclass(eq=False)
class ComposeStack:
    """The stack of deploy/compose, on ports of its own.

    Attributes:
        project: What compose calls it.
        ports: The variables of the compose file.
    """

    project: str = field(default_factory=lambda: f"image-test-{os.getpid()}")
    ports: dict[str, str] = field(
        default_factory=lambda: {f"{n}_PORT": str(free_port()) for n in (*_PORTS, *_TRITON_PORTS)}
    )

    def up(self) -> None:
        """Starts all, and waits until they are ready."""
        self.compose("up", "--detach")
        self._until_ready()

    def restart(self) -> None:
        """Ends all in order, starts them again, and waits until they are ready."""
        self.compose("restart", "--timeout", "45")
        self._until_ready()

    def down(self) -> None:
        """Takes everything away, volumes too."""
        self.compose("down", "--volumes", "--timeout", "45")

    def logs(self) -> str:
        """The ends of all logs."""
        return self.compose("logs", "--no-color", "--tail", "50")

    def compose(self, *arguments: str) -> str:
        """Runs compose on the stack's file."""
        command = shlex.split(os.environ.get("COMPOSE", "docker compose"))
        file = ("-p", self.project, "-f", "deploy/compose/compose.yaml")
        return run(
            [*command, *file, *arguments], {**self.ports, "TRITON_SECRET": "of-a-test"}
        ).stdout

    def container(self, service: str) -> Container:
        """The container of a service."""
        return Container(self.compose("ps", "--quiet", service).strip())

    def address(self, port: str) -> str:
        """Where a port is published, such as ``SLICER``."""
        return f"127.0.0.1:{self.ports[f'{port}_PORT']}"

    def _until_ready(self) -> None:
        for service in ("slicer", "packer", "reconciler"):
            self.container(service).until_ready()
