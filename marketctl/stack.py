"""The processes of one machine: slicer, packer, and the reconciler with its Triton."""

from __future__ import annotations

import errno
import fcntl
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sliceandpack.error.v1 import error_reason_pb2 as reasons

from svckit.addresses import Address
from svckit.errors import FailedPrecondition

HOST = "127.0.0.1"
START_SECONDS = 60.0
"""How long a process may take until it serves."""

TRITON = Path(".triton")
"""Where `make setup` puts the environment of the embedded Triton, in the project's folder."""

Facts = Mapping[str, Mapping[str, str]]
"""What the ready file of each process that runs says, by the process's name."""


@dataclass(frozen=True)
class Ports:
    """The loopback ports, 0 for any.

    Attributes:
        slicer: The slicer's gRPC port.
        packer: The packer's.
        triton_grpc: Triton's gRPC port.
        triton_http: Triton's HTTP port.
        triton_metrics: The port of Triton's own metrics.
    """

    slicer: int = 7101
    packer: int = 7102
    triton_grpc: int = 8001
    triton_http: int = 8000
    triton_metrics: int = 8002


FREE_PORTS = Ports(0, 0, 0, 0, 0)
"""Whatever is free."""

PORT_NAMES = {
    "slicer": "the slicer",
    "packer": "the packer",
    "triton_grpc": "Triton (gRPC)",
    "triton_http": "Triton (HTTP)",
    "triton_metrics": "Triton (metrics)",
}
"""Who listens on a port of `Ports`."""


@dataclass(frozen=True)
class Stack:
    """All that the command lines depend on.

    Attributes:
        state_dir: The folder of all state and logs.
        triton: The virtual environment of the embedded Triton.
        ports: Where everything listens at its first start.
    """

    state_dir: Path
    triton: Path
    ports: Ports

    def log(self, name: str) -> Path:
        """Returns the log of a process."""
        return self.state_dir / "logs" / f"{name}.log"

    def ready_file(self, name: str) -> Path:
        """Returns where a process says that it serves."""
        return self.state_dir / "run" / f"{name}.json"

    def command(self, name: str, facts: Facts) -> Sequence[str]:
        """Returns the command line of a process.

        A process that is started again listens where it did before: others know its address.

        Args:
            name: ``slicer``, ``packer`` or ``reconciler``.
            facts: What is known of the processes that run or ran.
        """
        program, options = _PROGRAMS[name]
        known = facts.get(name, {})
        common = {
            "state-dir": str(self.state_dir / name),
            "ready-file": str(self.ready_file(name)),
        }
        given = common | options(self, facts) | _same_addresses(name, known)
        pairs = [f"--{key}={value}" for key, value in given.items()]
        return [sys.executable, "-m", *program, *pairs]


def triton_folder(folder: Path) -> Path:
    """Returns where the embedded Triton is: also beside the project, where the default is not here.

    Args:
        folder: What was given, or `TRITON`.
    """
    beside = Path(__file__).parents[1] / TRITON
    return beside if folder == TRITON and not folder.exists() and beside.exists() else folder


def _slicer_options(stack: Stack, _facts: Facts) -> dict[str, str]:
    return {"address": f"{HOST}:{stack.ports.slicer}"}


def _packer_options(stack: Stack, facts: Facts) -> dict[str, str]:
    return {
        "address": f"{HOST}:{stack.ports.packer}",
        "slicer.address": facts["slicer"]["address"],
    }


def _reconciler_options(stack: Stack, facts: Facts) -> dict[str, str]:
    ports = stack.ports
    return {
        "packer.address": facts["packer"]["address"],
        "triton-environment": str(stack.triton),
        "triton-grpc-port": str(ports.triton_grpc),
        "triton-http-port": str(ports.triton_http),
        "triton-metrics-port": str(ports.triton_metrics),
    }


_PROGRAMS = {
    "slicer": (("slicer_svc",), _slicer_options),
    "packer": (("packer_svc",), _packer_options),
    "reconciler": (("serving.reconciler", "--embedded"), _reconciler_options),
}

NAMES = tuple(_PROGRAMS)
"""The processes in the order of their start."""


def _same_addresses(name: str, known: Mapping[str, str]) -> dict[str, str]:
    """Returns the options that bind a process to where it listened before."""
    if not known:
        return {}
    if name != "reconciler":
        return {"address": known["address"]}
    return {
        "triton-grpc-port": str(Address.parse(known["triton_grpc"]).port),
        "triton-http-port": str(Address.parse(known["triton_http"]).port),
    }


@contextmanager
def sole_user(folder: Path) -> Iterator[None]:
    """Keeps a second ``marketctl up`` out of a state folder.

    Args:
        folder: The folder; made if it is not there.

    Raises:
        FailedPrecondition: Another one uses it.
        OSError: The folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "up.lock").open("w") as lock:
        try:
            # The kernel lets go of it when the process ends, however it ends.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FailedPrecondition(
                reasons.ERROR_REASON_UNSPECIFIED,
                f"Another `marketctl up` uses {folder}.",
                advice="Stop it, or give another --state-dir.",
            ) from None
        yield


def refuse_taken(ports: Ports) -> None:
    """Checks that every port can be had before anything is started.

    Args:
        ports: The ports, 0 for any.

    Raises:
        FailedPrecondition: Some are taken; all of them are named.
    """
    taken = [f"{port} ({PORT_NAMES[name]})" for name, port in taken_ports(ports)]
    if taken:
        raise FailedPrecondition(
            reasons.ERROR_REASON_UNSPECIFIED,
            f"Something listens already on {', '.join(taken)}.",
            advice="Stop it (another `marketctl up`?), or give --free-ports.",
        )


def taken_ports(ports: Ports) -> Iterator[tuple[str, int]]:
    """Yields the ports that somebody listens on, with their names in `Ports`.

    Args:
        ports: The ports, 0 for any.
    """
    with ExitStack() as held:
        for name in PORT_NAMES:
            port: int = getattr(ports, name)
            listener = held.enter_context(socket.socket())
            # As servers do: connections that a dead one left do not count.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((HOST, port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                yield name, port
