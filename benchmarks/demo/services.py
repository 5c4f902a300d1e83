"""Starts slicer, packer, reconciler and Triton for the demo, and stops them however it ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

START_SECONDS = 60.0
STOP_SECONDS = 40.0


@dataclass(frozen=True)
class Addresses:
    """Where the services of the demo listen, ``host:port``.

    Attributes:
        slicer: The slicer's gRPC port.
        packer: The packer's gRPC port.
        triton: Triton's gRPC port.
        triton_http: Triton's HTTP port.
    """

    slicer: str
    packer: str
    triton: str
    triton_http: str


@contextmanager
def running_services(folder: Path) -> Iterator[Addresses]:
    """Runs ``marketctl up`` on free ports, with all of its state in a folder.

    Args:
        folder: An empty folder; the log of all processes is written there too.

    Yields:
        The addresses, once everything serves.

    Raises:
        RuntimeError: The services did not start.
    """
    ready, log = folder / "ready.json", folder / "services.log"
    command = [sys.executable, "-m", "marketctl", "up", "--free-ports"]
    command += ["--state-dir", str(folder / "state"), "--ready-file", str(ready)]
    with log.open("wb") as stream:
        # A session of its own: Ctrl-C reaches the demo, which then stops the services in order.
        process = subprocess.Popen(  # noqa: S603
            command, stdout=stream, stderr=stream, start_new_session=True
        )
        try:
            yield wait_until_ready(process, ready, log)
        finally:
            stop(process)


def wait_until_ready(process: subprocess.Popen[bytes], ready: Path, log: Path) -> Addresses:
    """Waits for the file that says where the services listen.

    Raises:
        RuntimeError: The process ended, or the file did not come in time.
    """
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if ready.exists():
            found = json.loads(ready.read_text())
            names = ("slicer", "packer", "triton_grpc", "triton_http")
            return Addresses(*(found[name] for name in names))
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError(f"the services did not start; {log} ends with:\n{log.read_text()[-4000:]}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """Asks the process to end, and ends it if it does not."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
