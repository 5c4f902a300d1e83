"""One worker process, seen from the server."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import structlog

from svckit.workers import frames
from svckit.workers.frames import FrameError, JsonObject

_log: Final = structlog.get_logger(__name__)
_TAIL_BYTES: Final = 4096
_LOG_BYTES_PER_JOB: Final = 64 * 1024
_LINE_CHARACTERS: Final = 1000
_RETIRE_SECONDS: Final = 2.0
_DRAIN_SECONDS: Final = 1.0
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


class WorkerEndedError(Exception):
    """The process has ended, or what it sends makes no sense any more."""


def child_environment(threads: int, *, gpus: bool = True) -> Mapping[str, str]:
    """Returns all that a worker's environment holds: nothing of the server's own, no secret.

    Args:
        threads: How many threads OpenMP, MKL and OpenBLAS may use.
        gpus: Whether CUDA is to find the machine's GPUs.
    """
    temporary = tempfile.gettempdir()
    environment = {
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "HOME": temporary,
        "TMPDIR": temporary,
        # A worker can import what the server can, and nothing from where it was started.
        "PYTHONPATH": os.pathsep.join(str(Path(entry or ".").absolute()) for entry in sys.path),
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "PASSIVE",
        "MKL_NUM_THREADS": str(threads),
        "OPENBLAS_NUM_THREADS": str(threads),
        # Each further arena of glibc maps 64 MiB, which RLIMIT_AS counts.
        "MALLOC_ARENA_MAX": "2",
    }
    return environment if gpus else environment | {"CUDA_VISIBLE_DEVICES": ""}


class WorkerProcess:
    """A running child with the socket to it; made by `spawn`.

    Attributes:
        jobs: How many jobs it was given.
    """

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.jobs = 0
        self._process = process
        self._reader = reader
        self._writer = writer
        self._tail = b""
        self._log_budget = _LOG_BYTES_PER_JOB
        self._drain = asyncio.create_task(self._drain_output(), name=f"worker-{process.pid}-log")

    @classmethod
    async def spawn(cls, threads: int, *, gpus: bool = True) -> "WorkerProcess":
        """Starts a worker, the leader of a session of its own.

        It ends when the thread that called this ends, however that happens: the event loop is
        therefore run by a thread that lives as long as the server, as the main thread does.

        Args:
            threads: How many threads its numeric libraries may use.
            gpus: Whether it sees the machine's GPUs.

        Raises:
            OSError: The system starts no further process.
        """
        ours, theirs = socket.socketpair()
        with theirs, contextlib.ExitStack() as undo:
            undo.callback(ours.close)
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "svckit.workers.child"),
                *(str(theirs.fileno()), str(os.getpid())),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                pass_fds=(theirs.fileno(),),
                env=child_environment(threads, gpus=gpus),
                cwd=tempfile.gettempdir(),
                start_new_session=True,
            )
            undo.callback(_kill_group, process)
            reader, writer = await asyncio.open_connection(sock=ours)
            undo.pop_all()
        return cls(process, reader, writer)

    @property
    def alive(self) -> bool:
        """Whether it can take a job: it has not ended, and its socket is open."""
        # A process that has just ended has no memory, even before the event loop hears of it.
        return self.resident_bytes > 0 and not self._reader.at_eof()

    @property
    def output_tail(self) -> bytes:
        """The last of what it printed."""
        return self._tail

    @property
    def resident_bytes(self) -> int:
        """The memory that it has in use; 0 once it has ended."""
        if self._process.returncode is not None:
            return 0
        with contextlib.suppress(OSError):
            statm = Path(f"/proc/{self._process.pid}/statm").read_text(encoding="ascii")
            return int(statm.split()[1]) * _PAGE_BYTES
        return 0

    async def send(self, job: bytes) -> None:
        """Gives it a job, as a frame.

        Raises:
            WorkerEndedError: It has ended.
        """
        self.jobs += 1
        self._log_budget = _LOG_BYTES_PER_JOB
        self._writer.write(job)
        try:
            await self._writer.drain()
        except ConnectionError as error:
            raise WorkerEndedError from error

    async def receive(self) -> JsonObject:
        """Returns its next frame.

        Raises:
            WorkerEndedError: It has ended, or what it sent is no frame.
        """
        try:
            header = await self._reader.readexactly(frames.HEADER_BYTES)
            frame = frames.decode(await self._reader.readexactly(frames.length(header)))
            if "kind" not in frame:
                raise FrameError("a frame without its kind")
            return frame
        except (asyncio.IncompleteReadError, ConnectionError, FrameError) as error:
            raise WorkerEndedError from error

    def stop(self) -> None:
        """Kills it and all that it started; returns before they have ended."""
        _kill_group(self._process)

    async def kill(self) -> int:
        """Kills it and waits for its end; returns its return code, negative for a signal."""
        self.stop()
        returncode = await self._process.wait()
        # A process that it started and that left its session may hold the pipe open.
        await asyncio.wait([self._drain], timeout=_DRAIN_SECONDS)
        self._drain.cancel()
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()
        return returncode

    async def retire(self) -> int:
        """Lets it end by itself, or kills it if that takes too long; returns its return code."""
        self._writer.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_RETIRE_SECONDS):
                await self._process.wait()
        return await self.kill()

    async def _drain_output(self) -> None:
        """Reads what it prints to the end, since a full pipe would stop it; logs the first part."""
        output = self._process.stdout
        assert output is not None, "spawn() asks for the pipe"
        while data := await output.read(_TAIL_BYTES):
            self._tail = (self._tail + data)[-_TAIL_BYTES:]
            kept = data[: self._log_budget]
            self._log_budget -= len(kept)
            for line in kept.decode(errors="replace").splitlines():
                _log.info("worker_output", pid=self._process.pid, text=line[:_LINE_CHARACTERS])


def _kill_group(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
