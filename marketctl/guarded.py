"""Runs a program that ends when its parent does: `guarded.py PARENT_PID PROGRAM ARGUMENT…`.

Whatever ends ``marketctl up``, SIGKILL included, the kernel then asks its children to stop in
order. It runs under `python -I -S`, so it imports nothing of this project, and becomes the program.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Asks for SIGTERM at the parent's death, then becomes the program.

    Raises:
        OSError: The kernel refused, or the program cannot be run.
    """
    parent, program = int(sys.argv[1]), sys.argv[2:]
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() == parent:
        os.execv(program[0], program)  # noqa: S606 - the caller's own program, no shell.


if __name__ == "__main__":
    main()
