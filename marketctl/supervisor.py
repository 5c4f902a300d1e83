"""Starts the processes of a stack, starts again what dies, and stops all in order."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sliceandpack.error.v1 import error_reason_pb2 as reasons

from marketctl import guarded
from marketctl.health import is_serving
from marketctl.logs import LogTail, last_errors
from marketctl.stack import NAMES, START_SECONDS, Stack
from svckit.errors import Unavailable

Say = Callable[[str], None]

_POLL_SECONDS: Final = 0.05
_TAIL_SECONDS: Final = 0.5
_STOP_SECONDS: Final = 45.0
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 15.0
_STEADY_SECONDS: Final = 60.0
_RESTARTS: Final = 8


@dataclass
class Child:
    """A process of the stack and what is known of it.

    Attributes:
        name: Its name.
        process: The process itself.
        started: When it was started, on the monotonic clock.
        deaths: How often it died without having run steadily in between.
    """

    name: str
    process: asyncio.subprocess.Process
    started: float
    deaths: int = 0


class Supervisor:
    """Keeps a stack running.

    Args:
        stack: What to run.
        say: Told what happens, line by line.
        on_change: Told whenever a process serves that did not before.
    """

    def __init__(self, stack: Stack, say: Say, on_change: Callable[[], None]) -> None:
        self._stack = stack
        self._say = say
        self._on_change = on_change
        self._children: dict[str, Child] = {}
        self._facts: dict[str, dict[str, str]] = {}
        self._tails: dict[str, LogTail] = {}

    @property
    def facts(self) -> dict[str, dict[str, str]]:
        """What the ready file of each process says, by its name."""
        return self._facts

    @property
    def pids(self) -> dict[str, int]:
        """The processes' ids, by their names."""
        return {name: child.process.pid for name, child in self._children.items()}

    async def start(self) -> None:
        """Starts all processes, one after the other.

        Raises:
            Unavailable: One of them did not come to serve; those that did still run.
        """
        for name in NAMES:
            self._tails[name] = LogTail(self._stack.log(name))
            self._say(f"Starting the {name}.")
            await self._start(name)

    async def run(self) -> None:
        """Watches the processes for ever.

        Raises:
            Unavailable: One of them dies again and again.
        """
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._tail())
                for name in NAMES:
                    group.create_task(self._keep(name))
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def stop(self) -> None:
        """Stops all processes in the reverse order of their start, and waits for each."""
        for child in reversed(self._children.values()):
            if child.process.returncode is not None:
                continue
            self._say(f"Stopping the {child.name}.")
            child.process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(_STOP_SECONDS):
                    await child.process.wait()
            except TimeoutError:
                self._say(f"The {child.name} did not stop within {_STOP_SECONDS:.0f} s: killed.")
                child.process.kill()
                await child.process.wait()

    def kill(self) -> None:
        """Ends all processes at once."""
        for child in self._children.values():
            if child.process.returncode is None:
                child.process.kill()

    async def _start(self, name: str) -> None:
        """Starts a process and waits until it serves."""
        ready = self._stack.ready_file(name)
        ready.parent.mkdir(parents=True, exist_ok=True)
        ready.unlink(missing_ok=True)
        log = self._stack.log(name)
        log.parent.mkdir(parents=True, exist_ok=True)
        begin = log.stat().st_size if log.exists() else 0
        process = await _spawn(self._stack.command(name, self._facts), log)
        deaths = self._children[name].deaths if name in self._children else 0
        self._children[name] = Child(name, process, time.monotonic(), deaths)
        try:
            async with asyncio.timeout(START_SECONDS):
                self._facts[name] = await _ready(process, ready)
                await _serving(process, self._facts[name]["address"])
        except TimeoutError:
            process.kill()
            await process.wait()
            raise _not_started(
                name, log, begin, f"did not serve in {START_SECONDS:.0f} s"
            ) from None
        except ProcessLookupError:
            raise _not_started(name, log, begin, _ending(process)) from None

    async def _keep(self, name: str) -> None:
        """Starts a process again whenever it ends."""
        while True:
            child = self._children[name]
            await child.process.wait()
            if time.monotonic() - child.started > _STEADY_SECONDS:
                child.deaths = 0
            child.deaths += 1
            if child.deaths > _RESTARTS:
                raise _unavailable(
                    f"The {name} {_ending(child.process)}, {child.deaths} times in a row.",
                    f"Look into {self._stack.log(name)}.",
                )
            longest = min(_FIRST_PAUSE * 2 ** (child.deaths - 1), _LONGEST_PAUSE)
            pause = longest * random.uniform(0.5, 1.0)  # noqa: S311
            self._say(f"The {name} {_ending(child.process)}; starting it again in {pause:.1f} s.")
            await asyncio.sleep(pause)
            try:
                await self._start(name)
            except Unavailable as error:
                self._say(error.message)
                continue
            self._say(f"The {name} serves again.")
            self._on_change()

    async def _tail(self) -> None:
        """Repeats the errors and the restarts of all logs on the terminal."""
        while True:
            await asyncio.sleep(_TAIL_SECONDS)
            for name, tail in self._tails.items():
                for line in tail.news():
                    self._say(f"{name}: {line}")


async def _spawn(command: Sequence[str], log: Path) -> asyncio.subprocess.Process:
    """Starts a process that dies with this one, deaf to the terminal's Ctrl-C."""
    launcher = [sys.executable, "-I", "-S", guarded.__file__, str(os.getpid())]
    # The child writes into the file itself: a pipe would break when this process is killed.
    with log.open("ab") as stream:
        return await asyncio.create_subprocess_exec(
            *launcher,
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            process_group=0,
        )


async def _ready(process: asyncio.subprocess.Process, path: Path) -> dict[str, str]:
    """Waits for the file in which a process says where it listens.

    Raises:
        ProcessLookupError: It ended before.
    """
    while (facts := _facts_in(path)) is None:
        if process.returncode is not None:
            raise ProcessLookupError
        await asyncio.sleep(_POLL_SECONDS)
    return facts


def _facts_in(path: Path) -> dict[str, str] | None:
    if not path.exists():
        return None
    return {key: str(value) for key, value in json.loads(path.read_text()).items()}


async def _serving(process: asyncio.subprocess.Process, address: str) -> None:
    while not await is_serving(address):
        if process.returncode is not None:
            raise ProcessLookupError
        await asyncio.sleep(_POLL_SECONDS)


def _ending(process: asyncio.subprocess.Process) -> str:
    """Returns how a process ended."""
    code = process.returncode
    if code is not None and code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


def _not_started(name: str, log: Path, begin: int, how: str) -> Unavailable:
    why = last_errors(log, begin)
    return _unavailable(
        f"The {name} {how}{': ' if why else '.'}{' / '.join(why)}", f"Look into {log}."
    )


def _unavailable(message: str, advice: str) -> Unavailable:
    return Unavailable(reasons.ERROR_REASON_UNSPECIFIED, message, advice=advice)
