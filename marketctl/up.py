"""``marketctl up``: slicer, packer, reconciler and Triton on this machine until Ctrl-C."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from marketctl.columns import Column
from marketctl.command import command
from marketctl.session import Session
from marketctl.stack import (
    FREE_PORTS,
    TRITON,
    Ports,
    Stack,
    refuse_taken,
    sole_user,
    triton_folder,
)
from marketctl.supervisor import Supervisor


@dataclass(frozen=True)
class _Row:
    """A line of the table of addresses."""

    what: str
    address: str
    process: str
    log: str


COLUMNS = (
    Column("SERVICE", lambda row: row.what),
    Column("ADDRESS", lambda row: row.address),
    Column("PROCESS", lambda row: row.process, True),
    Column("LOG", lambda row: row.log),
)


def add_to(app: typer.Typer) -> None:
    """Adds the command.

    Args:
        app: The application.
    """
    command(app, "up")(up)


async def up(
    session: Session,
    state_dir: Annotated[
        Path, typer.Option(file_okay=False, help="Where state and logs are kept.")
    ] = Path("var"),
    free_ports: Annotated[
        bool, typer.Option("--free-ports", help="Listen on whatever is free, not on 7101, 7102, …")
    ] = False,
    ready_file: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="Where to write addresses and pids once all serve."),
    ] = None,
    triton_env: Annotated[
        Path, typer.Option(help="The environment of the embedded Triton.")
    ] = TRITON,
) -> None:
    """Run slicer, packer, reconciler and Triton on this machine until Ctrl-C.

    A process that dies is started again. A second Ctrl-C ends everything at once.
    """
    ports = FREE_PORTS if free_ports else Ports()
    stack = Stack(state_dir.absolute(), triton_folder(triton_env).absolute(), ports)
    with sole_user(stack.state_dir):
        refuse_taken(ports)
        await _up(session, stack, ready_file)


async def _up(session: Session, stack: Stack, ready_file: Path | None) -> None:
    """Runs the processes until a signal comes."""

    def announce() -> None:
        if ready_file is not None:
            _write(ready_file, _summary(supervisor))

    supervisor = Supervisor(stack, session.printer.warn, announce)
    task = asyncio.create_task(_run(session, supervisor, stack, announce))
    _on_signals(task, supervisor)
    try:
        await task
    except asyncio.CancelledError:
        session.printer.note("All stopped.")
    finally:
        _remove(ready_file)


async def _run(
    session: Session, supervisor: Supervisor, stack: Stack, announce: Callable[[], None]
) -> None:
    """Starts, watches and at last stops the processes."""
    try:
        await supervisor.start()
        announce()
        _print(session, supervisor, stack)
        await supervisor.run()
    finally:
        await supervisor.stop()


def _on_signals(task: asyncio.Task[None], supervisor: Supervisor) -> None:
    """Stops in order at the first signal, at once at the second."""
    asked = False

    def ask() -> None:
        nonlocal asked
        if asked:
            supervisor.kill()
        else:
            task.cancel()
        asked = True

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, ask)


def _summary(supervisor: Supervisor) -> dict[str, Any]:
    facts = supervisor.facts
    return {
        "slicer": facts["slicer"]["address"],
        "packer": facts["packer"]["address"],
        "triton_grpc": facts["reconciler"]["triton_grpc"],
        "triton_http": facts["reconciler"]["triton_http"],
        "pids": {"marketctl": os.getpid(), **supervisor.pids},
    }


def _print(session: Session, supervisor: Supervisor, stack: Stack) -> None:
    summary = _summary(supervisor)
    if not session.printer.is_table:
        session.printer.data(summary)
        return
    rows = [
        _Row(what, summary[key], str(supervisor.pids[name]), str(stack.log(name)))
        for what, key, name in (
            ("slicer", "slicer", "slicer"),
            ("packer", "packer", "packer"),
            ("Triton, gRPC", "triton_grpc", "reconciler"),
            ("Triton, HTTP", "triton_http", "reconciler"),
        )
    ]
    session.printer.table(COLUMNS, rows)
    session.printer.note("All serve. Ctrl-C stops them.")


def _remove(path: Path | None) -> None:
    if path is not None:
        path.unlink(missing_ok=True)


def _write(path: Path, content: dict[str, Any]) -> None:
    """Writes a file in one step, so that nobody reads half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f"{path.name}.{os.getpid()}")
    scratch.write_text(json.dumps(content))
    scratch.replace(path)
