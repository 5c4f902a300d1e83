"""Downloads of artifacts that go on where they broke off."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from sliceandpack.artifact.v1 import artifacts_pb2

from marketctl.columns import size
from marketctl.progress import transfer_progress
from marketctl.session import Service, Session
from svckit.clients.artifacts import download

Target = Annotated[
    Path | None,
    typer.Option("--to", help="The file or folder to write; here under its own name if left out."),
]


async def fetch(
    session: Session,
    service: Service,
    artifact: artifacts_pb2.Artifact,
    to: Path | None,
    default: Path,
) -> None:
    """Downloads an artifact into a file, which appears whole and verified or not at all.

    Args:
        session: Says how to show progress and result.
        service: Who has it.
        artifact: What to download.
        to: The file, or a folder that exists; None for the current one.
        default: The file's name where `to` names none.

    Raises:
        typer.BadParameter: The folder is not there.
        ServiceError: The service refused, or is away for too long.
    """
    path = _target(to, default)
    with transfer_progress(session.printer, f"Receiving {path.name}") as on_progress:
        await download(service.channel, artifact.name, path, on_progress=on_progress)
    if session.printer.is_table:
        session.printer.line(f"{path} ({size(artifact.size_bytes)})")
    else:
        session.printer.data(
            {"name": artifact.name, "path": str(path), "size_bytes": artifact.size_bytes}
        )


def _target(to: Path | None, default: Path) -> Path:
    path = default if to is None else to / default if to.is_dir() else to
    if not path.parent.is_dir():
        raise typer.BadParameter(f"there is no folder {path.parent}", param_hint="--to")
    return path
