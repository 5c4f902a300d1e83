"""Downloads of artifacts that go on where they broke off."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from sliceandpack.artifact.v1 import artifacts_pb2
from sliceandpack.error.v1 import error_reason_pb2 as reasons

from marketctl.columns import size
from marketctl.progress import transfer_progress
from marketctl.session import Service, Session
from svckit.artifacts.digests import artifact_name
from svckit.artifacts.files import digest_of_file
from svckit.artifacts.threads import in_thread
from svckit.clients.artifacts import download
from svckit.clients.transfer import OnProgress
from svckit.errors import AlreadyExists, DataLoss, NotFound


@dataclass(frozen=True)
class DownloadOptions:
    """Where a download goes."""

    # Text: a path loses the separator at its end, which says that a folder is meant.
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            "--out",
            metavar="PATH",
            help="The file to write, or a folder (one that exists, or any that ends in /); here "
            "under its own name if left out.",
        ),
    ] = None
    force: Annotated[
        bool, typer.Option("--force", help="Replace a file that has other content.")
    ] = False

    def target(self, default: Path) -> Path:
        """Returns the file to write; makes the folder that a separator at the end asks for.

        Args:
            default: The file's name where the options name none.

        Raises:
            typer.BadParameter: The folder is not there, or is a file.
        """
        if self.to is None:
            return default
        path = Path(self.to)
        if self.to.endswith(os.sep):
            if path.exists() and not path.is_dir():
                raise typer.BadParameter(f"{path} is a file, no folder", param_hint="--to")
            path.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            return path / default
        if not path.parent.is_dir():
            raise typer.BadParameter(
                f"there is no folder {path.parent}; write {path.parent}{os.sep} to make it",
                param_hint="--to",
            )
        return path


async def fetch(
    session: Session,
    service: Service,
    artifact: artifacts_pb2.Artifact,
    options: DownloadOptions,
    default: Path,
) -> Path:
    """Downloads an artifact into a file, which appears whole and verified or not at all.

    Args:
        session: Says how to show progress and result.
        service: Who has it.
        artifact: What to download.
        options: Where to.
        default: The file's name where the options name none.

    Returns:
        The file.

    Raises:
        typer.BadParameter: The folder is not there.
        AlreadyExists: The file is there with other content, and is not to be replaced.
        ServiceError: The service refused, or is away for too long.
    """
    path = options.target(default)
    if path.exists() and await in_thread(_name_of, path) == artifact.name:
        session.printer.note(f"{path} is there already, and whole.")
    else:
        if path.exists() and not options.force:
            raise _taken(path)
        with transfer_progress(session.printer, f"Receiving {path.name}") as on_progress:
            await receive(service, artifact, path, on_progress)
    if session.printer.is_table:
        session.printer.line(f"{path} ({size(artifact.size_bytes)})")
    else:
        session.printer.data(
            {"name": artifact.name, "path": str(path), "size_bytes": artifact.size_bytes}
        )
    return path


async def receive(
    service: Service,
    artifact: artifacts_pb2.Artifact,
    path: Path,
    on_progress: OnProgress | None = None,
) -> None:
    """Downloads an artifact that a resource names.

    Args:
        service: Who has it.
        artifact: What to download.
        path: The file to write.
        on_progress: Is told how many bytes have come.

    Raises:
        DataLoss: DIGEST_MISMATCH, the service has found its bytes altered, and has them no more.
        ServiceError: The service refused, or is away for too long.
    """
    try:
        await download(service.channel, artifact.name, path, on_progress=on_progress)
    except NotFound as error:
        raise DataLoss(
            reasons.ERROR_REASON_DIGEST_MISMATCH,
            f"{artifact.name} is stored no more: it was altered, or is gone.",
            advice="Have its owner restore artifacts/ from a backup, or make anew what it belongs "
            "to.",
            metadata=error.metadata,
        ) from error


def _name_of(path: Path) -> str:
    """Returns the name of the artifact that a file's bytes are."""
    with path.open("rb") as stream:
        return artifact_name(digest_of_file(stream.fileno()))


def _taken(path: Path) -> AlreadyExists:
    return AlreadyExists(
        reasons.ERROR_REASON_UNSPECIFIED,
        f"{path} is there already, with other content.",
        advice="Name another file with --to, or give --force to replace it.",
    )
