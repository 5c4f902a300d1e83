"""How the command line ends: one exit code by kind of error."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Final

import grpc


class ExitCode(IntEnum):
    """What a script can branch on."""

    OK = 0
    """Done."""
    FAILED = 1
    """Anything that has no code of its own; a check of ``doctor`` that failed."""
    USAGE = 2
    """The command line itself is wrong; nothing was sent."""
    NOT_FOUND = 3
    """Nothing has the name."""
    INVALID = 4
    """The input was refused: a graph, samples, labels, a field, a picture."""
    CONFLICT = 5
    """The state forbids it: it exists already, is in use, or was changed meanwhile."""
    UNAVAILABLE = 6
    """The service does not answer, or not in time; the same command can be given again."""
    EXHAUSTED = 7
    """A limit on memory, time, disk or waiting work is reached."""
    CANCELLED = 8
    """The operation was cancelled."""
    DATA_LOSS = 9
    """Stored bytes are damaged."""
    INTERRUPTED = 130
    """Ctrl-C."""


_BY_CODE: Final[Mapping[grpc.StatusCode, ExitCode]] = MappingProxyType(
    {
        grpc.StatusCode.NOT_FOUND: ExitCode.NOT_FOUND,
        grpc.StatusCode.INVALID_ARGUMENT: ExitCode.INVALID,
        grpc.StatusCode.OUT_OF_RANGE: ExitCode.INVALID,
        grpc.StatusCode.ALREADY_EXISTS: ExitCode.CONFLICT,
        grpc.StatusCode.FAILED_PRECONDITION: ExitCode.CONFLICT,
        grpc.StatusCode.ABORTED: ExitCode.CONFLICT,
        grpc.StatusCode.UNAVAILABLE: ExitCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED: ExitCode.UNAVAILABLE,
        grpc.StatusCode.RESOURCE_EXHAUSTED: ExitCode.EXHAUSTED,
        grpc.StatusCode.CANCELLED: ExitCode.CANCELLED,
        grpc.StatusCode.DATA_LOSS: ExitCode.DATA_LOSS,
    }
)


def exit_code_of(code: grpc.StatusCode) -> ExitCode:
    """Returns the exit code that a canonical gRPC code leads to.

    Args:
        code: The code of a failed call or operation.
    """
    return _BY_CODE.get(code, ExitCode.FAILED)


EPILOG: Final = (
    "Exit codes: 0 done; 2 wrong command line; 3 not found; 4 input refused; 5 conflict with what "
    "exists; 6 service unavailable or too slow; 7 limit reached; 8 cancelled; 9 stored data "
    "damaged; 1 anything else; 130 Ctrl-C. Options of `marketctl` itself may also stand after the "
    "command: `marketctl models list -o json`."
)
"""What ``--help`` ends with."""
