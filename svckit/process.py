"""The outside of a server process: arguments, signals and exit codes."""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from enum import IntEnum

import structlog
from pydantic import ValidationError
from pydantic_settings import CliApp

from svckit.lifecycle import Compose, Lifecycle, S
from svckit.server import StartupError
from svckit.telemetry import configure_logging

_log = structlog.stdlib.get_logger(__name__)


class ExitCode(IntEnum):
    """How a server process ends; one that is forced ends with 128 and the signal's number."""

    STOPPED = 0
    """It was asked to stop, and everything was closed in time."""
    FAILED = 1
    """An unforeseen fault; the log has it."""
    SETTINGS = 2
    """A setting is wrong."""
    STARTUP = 3
    """It could not start, such as on an address in use."""
    UNCLEAN = 4
    """It was asked to stop, but its resources did not close in time."""


def run(settings_class: type[S], compose: Compose[S], arguments: Sequence[str], name: str) -> int:
    """Runs a server until SIGTERM or SIGINT; a second signal ends it at once.

    Args:
        settings_class: The settings, read from the environment and from `arguments`, where every
            setting is an option (``insecure`` is ``--insecure``).
        compose: The composition root.
        arguments: The command line without the program's name.
        name: The name of the process, such as ``slicer``.

    Returns:
        The exit code.
    """
    try:
        settings = CliApp.run(settings_class, cli_args=list(arguments))
    except ValidationError as error:
        for problem in error.errors():
            place = ".".join(str(part) for part in problem["loc"]) or "settings"
            sys.stderr.write(f"{name}: {place}: {problem['msg']}\n")
        return ExitCode.SETTINGS
    configure_logging(settings.log_level, name)
    try:
        asyncio.run(_serve(Lifecycle(settings, compose)))
    except StartupError as error:
        _log.error("cannot start", problem=str(error))
        return ExitCode.STARTUP
    except TimeoutError:
        _log.exception("resources did not close in time")
        return ExitCode.UNCLEAN
    except Exception:
        _log.exception("failed")
        return ExitCode.FAILED
    return ExitCode.STOPPED


async def _serve(lifecycle: Lifecycle[S]) -> None:
    """Starts, waits for a signal, and stops."""
    asked = asyncio.Event()

    def ask(number: signal.Signals) -> None:
        if asked.is_set():
            _log.warning("forced to end", signal=number.name)
            os._exit(128 + number)
        asked.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ask, number)
    await lifecycle.start()
    await asked.wait()
    await lifecycle.shutdown()
