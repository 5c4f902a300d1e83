"""Stands between this process and Triton: `guardian.py PARENT_PID PREFIX PROGRAM ARGUMENT…`.

Triton's Python stubs do not reliably notice that their server was killed; about half of them live
on for ever. And Triton itself does not notice that whoever started it died. The guardian sees to
both: when Triton ends, it kills what is left of its process group, and removes the shared memory
whose names begin with PREFIX; when its parent ends, it kills the whole group. It takes SIGTERM for
"stop in order", which it hands to Triton, and SIGUSR1 for "stop now". It runs under
`python -I -S`, so it imports nothing of this project.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where Triton's stubs keep their tensors.
_SIGNALS = frozenset({signal.SIGTERM, signal.SIGUSR1, signal.SIGCHLD})
_SIGNALLED = 128


def main() -> int:
    """Starts the program and guards it to its end.

    Returns:
        The program's exit status, or 128 and the number of the signal that ended it.
    """
    parent, memory_prefix, command = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    if not _dies_with(parent, signal.SIGUSR1):
        return 1
    guardian = os.getpid()
    program = os.fork()
    if program == 0:
        os.setpgid(0, 0)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        if _dies_with(guardian, signal.SIGKILL):
            os.execv(command[0], command)  # noqa: S606 - the caller's own program, no shell.
        os._exit(1)
    code = _guard(program)
    clear_shared_memory(memory_prefix)
    return code


def clear_shared_memory(prefix: str) -> None:
    """Removes what killed stubs left behind, about 1 MB each.

    Args:
        prefix: How the names of the files begin.
    """
    for path in _SHARED_MEMORY.glob(f"{prefix}*"):
        path.unlink(missing_ok=True)


def _guard(program: int) -> int:
    while True:
        received = signal.sigwait(_SIGNALS)
        if received == signal.SIGTERM:
            os.kill(program, signal.SIGTERM)
        elif received == signal.SIGUSR1:
            os.kill(program, signal.SIGKILL)
        ended, status = os.waitpid(program, os.WNOHANG)
        if ended:
            break
    # The dead program's number names its group as long as somebody is left in it.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(program, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else _SIGNALLED - code


def _dies_with(parent: int, signal_number: int) -> bool:
    """Asks the kernel for a signal at the parent's death; False if it died before that."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal_number) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    return os.getppid() == parent


if __name__ == "__main__":
    sys.exit(main())
