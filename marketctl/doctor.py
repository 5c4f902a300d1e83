"""``marketctl doctor``: is everything there, and does it answer?"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from marketctl.checks import Check, Status, checks
from marketctl.command import command
from marketctl.exit_codes import ExitCode
from marketctl.session import Session
from marketctl.stack import TRITON, triton_folder


def add_to(app: typer.Typer) -> None:
    """Adds the command.

    Args:
        app: The application.
    """
    command(app, "doctor")(doctor)


async def doctor(
    session: Session,
    state_dir: Annotated[Path, typer.Option(help="Where services keep their state.")] = Path("var"),
    triton_env: Annotated[
        Path, typer.Option(help="The environment of the embedded Triton.")
    ] = TRITON,
) -> None:
    """Check this machine, the services and Triton; exit code 1 if a check fails."""
    done: list[Check] = []
    async for check in checks(session, triton_folder(triton_env), state_dir):
        done.append(check)
        if session.printer.is_table:
            _print(session, check)
    counts = Counter(check.status for check in done)
    if session.printer.is_table:
        session.printer.line(", ".join(f"{counts[status]} {status}" for status in Status))
    else:
        session.printer.data([asdict(check) for check in done])
    if counts[Status.FAIL]:
        raise typer.Exit(ExitCode.FAILED)


def _print(session: Session, check: Check) -> None:
    session.printer.line(f"{check.status:5}{check.name}: {check.found}")
    if check.advice:
        session.printer.line(f"     {check.advice}")
