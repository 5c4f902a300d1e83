"""Becomes another program that dies with its parent: `launch.py PARENT_PID PROGRAM ARGUMENT…`.

A process of its own, because running Python between fork and exec (`preexec_fn`) can lock up a
parent that has threads, and gRPC has. It runs under `python -I -S`, so it imports
nothing of this project.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Asks the kernel for SIGKILL at the parent's death, then becomes the program.

    SIGKILL, since nobody is left who could wait for a drain, and Triton's own children end with it.
    """
    parent, program = int(sys.argv[1]), sys.argv[2]
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        # It died before the kernel knew whom to watch.
        sys.exit(1)
    os.execv(program, sys.argv[2:])  # noqa: S606 - the caller's own program, no shell.


if __name__ == "__main__":
    main()
