"""The worker process: ``python -P -m svckit.workers.child SOCKET PARENT``.

It reads jobs from the socket whose descriptor it inherits and answers there, so that whatever
native libraries print to standard output is no more than a line in the log.
"""

import ctypes
import importlib
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from svckit.workers import frames, outcomes
from svckit.workers.frames import JsonObject
from svckit.workers.limits import WorkerLimits, impose, lift

Report = Callable[[JsonObject], None]
"""Sends a progress object to whoever started the job; may be called from any thread."""

Entry = Callable[[JsonObject, Report], JsonObject]
"""A job: takes the request and a way to report, returns the result."""

_PR_SET_PDEATHSIG: Final = 1
_NICENESS: Final = 10
_OOM_SCORE: Final = "500"


def main(arguments: list[str]) -> None:
    """Prepares the process and works until the socket is closed.

    Args:
        arguments: The socket's descriptor and the parent's process id.
    """
    descriptor, parent = (int(argument) for argument in arguments)
    _prepare(parent)
    os.set_inheritable(descriptor, False)
    with socket.socket(fileno=descriptor) as stream:
        _work(stream)
    # Libraries' threads and exit handlers hold nothing that is worth waiting for.
    os._exit(0)


def _prepare(parent: int) -> None:
    """Makes this process end with its parent, and yield to it in every other way."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:
        os._exit(0)  # The parent was gone before it could be watched.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(_NICENESS)
    # Where memory runs out all the same, a worker goes before the server. Some containers forbid
    # to say so, and then the kernel chooses the largest process.
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE, encoding="ascii")


def _work(stream: socket.socket) -> None:
    sending = threading.Lock()

    def send(body: JsonObject) -> None:
        data = frames.encode(body)
        with sending:
            stream.sendall(data)

    def report(body: JsonObject) -> None:
        send({"kind": "progress", "progress": body})

    while (job := frames.read(stream.recv)) is not None:
        outcome = _outcome(job, report)
        try:
            send(outcome)
        except frames.FrameError as error:
            send(outcomes.failure(error))


def _outcome(job: JsonObject, report: Report) -> JsonObject:
    """Runs a job within its limits; whatever it raises becomes an outcome."""
    try:
        impose(WorkerLimits(**job["limits"]))
        return outcomes.result(_entry(job["entry"])(job["request"], report))
    except BaseException as error:
        lift()  # Else there may be no memory to say that there was none.
        return outcomes.failure(error)
    finally:
        lift()


def _entry(name: str) -> Entry:
    """Returns the function of ``package.module:function``."""
    module, _, function = name.partition(":")
    found: Any = getattr(importlib.import_module(module), function)
    entry: Entry = found
    return entry


if __name__ == "__main__":
    main(sys.argv[1:])
