"""One embedded Triton process: start, wait until live, stop."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets
import signal
import sys
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from serving.client import TritonClient
from serving.embedded import guardian
from serving.embedded.backends import assemble_backends
from serving.embedded.command import HOST, Ports, TritonCommand, free_ports
from serving.embedded.environment import TritonEnvironment
from serving.embedded.preflight import preflight
from serving.errors import TritonSetupError

_log = structlog.stdlib.get_logger(__name__)
_LIVE_POLL_SECONDS = 0.02
_LIVE_CALL_SECONDS = 1.0
_LINE_BYTES = 1 << 20
# What Triton calls an error on every machine without a GPU.
_WITHOUT_GPU = "CudaDriverHelper has not been initialized"
_KILL_GRACE_SECONDS = 3.0


@dataclass(frozen=True)
class TritonOptions:
    """How one embedded Triton runs.

    Attributes:
        models: The model repository; absolute.
        backends: Where its backend folder is made.
        ports: Where it listens on loopback; each 0 takes a free one and keeps it over restarts.
        start_seconds: How long a start may take until Triton is live.
        exit_seconds: How long it waits at a stop for calls under way.
    """

    models: Path
    backends: Path
    ports: Ports = field(default_factory=Ports)
    start_seconds: float = 20.0
    exit_seconds: int = 8


@dataclass
class EmbeddedTriton:
    """A `tritonserver` that dies with this process; start and stop it as often as needed.

    Addresses and secret are made once and stay over restarts, so that clients may keep theirs.

    Attributes:
        environment: Where its parts lie.
        options: How it runs.
        ports: Where it listens.
        secret: The key to its model-repository API.
    """

    environment: TritonEnvironment
    options: TritonOptions
    ports: Ports = field(init=False)
    secret: str = field(init=False, repr=False)
    _process: asyncio.subprocess.Process | None = field(init=False, default=None)
    _output: asyncio.Task[None] | None = field(init=False, default=None)
    _last_lines: deque[str] = field(init=False, default_factory=lambda: deque(maxlen=10))

    def __post_init__(self) -> None:
        self.secret = secrets.token_urlsafe(32)
        self.ports = free_ports(self.options.ports)

    @property
    def grpc_address(self) -> str:
        """The "host:port" of its gRPC endpoint."""
        return f"{HOST}:{self.ports.grpc}"

    @property
    def http_address(self) -> str:
        """The "host:port" of its HTTP endpoint."""
        return f"{HOST}:{self.ports.http}"

    @property
    def pid(self) -> int | None:
        """The process id of its guardian, whose child it is; None while it does not run."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if running and self._process else None

    async def prepare(self) -> None:
        """Checks that a start can succeed and makes the backend folder; once, before the start.

        Raises:
            TritonSetupError: The stub does not start on this machine.
        """
        await preflight(self.environment)
        await asyncio.to_thread(assemble_backends, self.environment, self.options.backends)

    async def start(self) -> None:
        """Starts the process and waits until it is live; no model is loaded.

        Raises:
            TritonSetupError: A port is taken, it ended, or it was not live in time; its last words
                are in the message.
        """
        self._kill_stubs()
        guardian.clear_shared_memory(self.memory_prefix)
        free_ports(self.ports)
        identity = secrets.token_hex(8)
        command = TritonCommand(
            environment=self.environment,
            models=self.options.models,
            backends=self.options.backends,
            ports=self.ports,
            secret=self.secret,
            identity=identity,
            exit_seconds=self.options.exit_seconds,
            memory_prefix=self.memory_prefix,
        )
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(guardian.__file__)),
            *(str(os.getpid()), self.memory_prefix),
            *command.arguments(),
            env=self.environment.variables(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            # Ctrl-C in a terminal goes to its whole process group: Triton must outlive it until the
            # calls under way are drained.
            start_new_session=True,
            limit=_LINE_BYTES,
        )
        self._output = asyncio.create_task(self._forward_output(self._process))
        await self._until_live(self._process, identity)

    async def wait(self) -> None:
        """Waits until the process has ended; stubs of it may still live, until `stop`."""
        if self.pid is None:
            return
        # asyncio's own wait ends only when nobody holds the output any more, and a stub may.
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(descriptor, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)

    async def stop(self) -> None:
        """Ends the process: calls under way finish, then it is killed; may be called twice."""
        if self._process is None:
            return
        _signal(self._process, signal.SIGTERM)
        try:
            async with asyncio.timeout(self.options.exit_seconds + _KILL_GRACE_SECONDS):
                await self.wait()
        except TimeoutError:
            _log.warning("triton_killed", pid=self._process.pid)
        await self._bury(self._process)
        self._process = None

    async def _bury(self, process: asyncio.subprocess.Process) -> None:
        """Ends what is left of a process with its stubs, and their shared memory."""
        _signal(process, signal.SIGUSR1)
        await self.wait()
        self._kill_stubs()
        guardian.clear_shared_memory(self.memory_prefix)
        _log.info("triton_ended", status=await process.wait())
        if self._output is not None:
            await self._output

    async def _until_live(self, process: asyncio.subprocess.Process, identity: str) -> None:
        # Another server that took the port in between would be live too.
        async with TritonClient(self.grpc_address) as client:
            try:
                async with asyncio.timeout(self.options.start_seconds):
                    while process.returncode is None:
                        answering = await client.identity(deadline=_LIVE_CALL_SECONDS)
                        if answering == identity and await self._listens():
                            return
                        await asyncio.sleep(_LIVE_POLL_SECONDS)
                reason = f"Triton ended with status {process.returncode}"
            except TimeoutError:
                reason = f"Triton was not live within {self.options.start_seconds:.0f} s"
        await self._bury(process)
        raise TritonSetupError(
            f"{reason}: {' | '.join(self._last_lines)[-1000:]}",
            advice="Look whether its ports are taken, and at its last words in the message.",
        )

    async def _listens(self) -> bool:
        """Whether the ports that open after gRPC's are open too."""
        for port in (self.ports.http, self.ports.metrics):
            try:
                _, writer = await asyncio.open_connection(HOST, port)
            except ConnectionRefusedError:
                return False
            writer.close()
            await writer.wait_closed()
        return True

    async def _forward_output(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        ended = False
        while not ended:
            try:
                raw = await process.stdout.readline()
            except ValueError:
                continue  # A line beyond `_LINE_BYTES`, which asyncio has dropped.
            ended = not raw
            line = raw.decode(errors="replace").rstrip()
            if not line or line[0] in "+|":
                continue  # The tables of its options and backends.
            self._last_lines.append(line)
            quiet = line[0] == "I" or _WITHOUT_GPU in line
            (_log.debug if quiet else _log.warning)("triton", line=line)

    @property
    def memory_prefix(self) -> str:
        """How its shared-memory files begin: the same at every start over one repository."""
        digest = hashlib.sha256(str(self.options.models).encode()).hexdigest()
        return f"sliceandpack-{digest[:16]}-"

    def _kill_stubs(self) -> None:
        """Ends stubs of an earlier Triton whose guardian was killed as well."""
        stub = str(self.options.backends / "python" / self.environment.stub.name).encode()
        for folder in Path("/proc").glob("[0-9]*"):
            # A process may end, or become another user's, between two looks.
            with contextlib.suppress(OSError):
                if (folder / "cmdline").read_bytes().split(b"\0")[0] == stub:
                    os.kill(int(folder.name), signal.SIGKILL)


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Signals a process if it still runs.

    Not asyncio's `send_signal`, which may reap the process and lose its exit status.
    """
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)
