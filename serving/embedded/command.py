"""The embedded Triton's command line."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from serving.client import SECRET_KEY
from serving.embedded.environment import TritonEnvironment
from serving.errors import TritonSetupError

HOST = "127.0.0.1"
# What a client of the prediction port has no business with: loading and unloading models, mapping
# the server's memory, changing what is logged or traced.
_RESTRICTED = "model-repository,shared-memory,trace,logging"


@dataclass(frozen=True)
class Ports:
    """The loopback ports of one Triton.

    Attributes:
        http: KServe v2 over HTTP.
        grpc: KServe v2 over gRPC.
        metrics: Triton's own Prometheus metrics.
    """

    http: int = 0
    grpc: int = 0
    metrics: int = 0


def free_ports(wanted: Ports) -> Ports:
    """Puts a free port in place of each 0, and sees that the others are free.

    Args:
        wanted: The ports, 0 for any.

    Raises:
        TritonSetupError: A port is taken. Triton itself would find out only after it has begun to
            answer on the others.
    """
    with ExitStack() as held:

        def choose(port: int) -> int:
            # Held open until all are chosen, so that no port is given twice.
            listener = held.enter_context(socket.socket())
            # As servers do: connections that a dead Triton left do not count.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((HOST, port))
            except OSError as error:
                raise TritonSetupError(
                    f"Triton cannot have port {port}: {error.strerror}",
                    advice="Stop what listens there, or set another port, 0 for any.",
                ) from error
            return int(listener.getsockname()[1])

        return Ports(choose(wanted.http), choose(wanted.grpc), choose(wanted.metrics))


@dataclass(frozen=True)
class TritonCommand:
    """All that the command line of one start depends on.

    Attributes:
        environment: Where the server lies.
        models: The model repository that it reads.
        backends: The backend folder.
        ports: Where it listens; none of them 0.
        secret: What a caller of the restricted APIs has to know.
        identity: What it calls itself.
        exit_seconds: How long it waits at SIGTERM for calls under way.
        memory_prefix: How its shared-memory files begin; they outlive a kill.
    """

    environment: TritonEnvironment
    models: Path
    backends: Path
    ports: Ports
    secret: str = field(repr=False)
    identity: str
    exit_seconds: int
    memory_prefix: str

    def arguments(self) -> list[str]:
        """The program and its arguments.

        It starts empty: a SIGTERM during a load at start-up would leave an orphan stub. The secret
        is on the command line since Triton takes it nowhere else: whoever may read this user's
        /proc can read it. It keeps clients of the ports out, not other processes of the machine.
        """
        restricted = f"{_RESTRICTED}:{SECRET_KEY}={self.secret}"
        return [
            str(self.environment.server),
            f"--id={self.identity}",
            f"--model-repository={self.models}",
            f"--backend-directory={self.backends}",
            f"--backend-config=python,shm-region-prefix-name={self.memory_prefix}",
            "--model-control-mode=explicit",
            "--disable-auto-complete-config",
            "--strict-readiness=false",
            f"--exit-timeout-secs={self.exit_seconds}",
            f"--http-address={HOST}",
            f"--http-port={self.ports.http}",
            f"--grpc-address={HOST}",
            f"--grpc-port={self.ports.grpc}",
            f"--metrics-address={HOST}",
            f"--metrics-port={self.ports.metrics}",
            "--allow-gpu-metrics=false",
            "--pinned-memory-pool-byte-size=0",
            f"--grpc-restricted-protocol={restricted}",
            f"--http-restricted-api={restricted}",
        ]
