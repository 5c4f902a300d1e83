"""``marketctl specify``: writes what a search needs to know of samples, on this machine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from sliceandpack.error.v1 import error_reason_pb2 as reasons

from marketctl.columns import count, size, small
from marketctl.command import command
from marketctl.session import Session
from marketctl.submission import ImageOptions, OtherInputOptions
from marketctl.task import SAMPLES_HELP, LabelsOption, SampleMeaning, specify_samples
from svckit.artifacts.threads import in_thread
from svckit.errors import AlreadyExists

if TYPE_CHECKING:
    from specification.model import Specification


def add_to(app: typer.Typer) -> None:
    """Adds the command.

    Args:
        app: The application.
    """
    command(app, "specify")(specify)


@dataclass(frozen=True)
class WritingOptions:
    """Where the specification goes."""

    out: Annotated[Path, typer.Option(metavar="FILE", dir_okay=False, help="The file to write.")]
    force: Annotated[
        bool, typer.Option("--force", help="Replace a file that has other content.")
    ] = False


async def specify(
    session: Session,
    samples: Annotated[Path, typer.Option(exists=True, metavar="DIR|NPZ", help=SAMPLES_HELP)],
    to: WritingOptions,
    image: ImageOptions,
    other: OtherInputOptions,
    labels: LabelsOption = None,
) -> None:
    """Write the specification of samples: all that a search needs to know of them.

    Everything happens on this machine: no service is asked and nothing is sent. The file holds a
    few made-up points in place of the samples, at most one for four, and none that lies near a
    sample. `marketctl search --specification FILE` searches by it.
    """
    from specification.codec import to_bytes

    found = await specify_samples(session, samples, SampleMeaning(image, other, labels))
    data = to_bytes(found)
    await in_thread(_write, to, data)
    if session.printer.is_table:
        session.printer.facts(_facts(found, to.out, len(data)))
    else:
        session.printer.data(_data(found, to.out, len(data)))


def _write(to: WritingOptions, data: bytes) -> None:
    """Writes a file, whole or not at all.

    Raises:
        AlreadyExists: It is there with other content, and is not to be replaced.
    """
    path = to.out
    if path.exists() and not to.force and path.read_bytes() != data:
        raise AlreadyExists(
            reasons.ERROR_REASON_UNSPECIFIED,
            f"{path} is there already, with other content.",
            advice="Name another file with --out, or give --force to replace it.",
        )
    scratch = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        scratch.write_bytes(data)
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def _facts(found: Specification, path: Path, written: int) -> list[tuple[str, str]]:
    return [
        ("specification", f"{path} ({size(written)})"),
        ("classes", ", ".join(found.labels) or "none: the samples have no labels"),
        ("samples", count(found.samples)),
        ("points", f"{count(len(found.weights))} ({found.space.kind})"),
        (
            "nearest",
            f"{small(found.nearest)} from a point to a sample, at least {small(found.bound)}",
        ),
    ]


def _data(found: Specification, path: Path, written: int) -> dict[str, object]:
    return {
        "path": str(path),
        "size_bytes": written,
        "version": found.version,
        "space": found.space.kind,
        "labels": list(found.labels),
        "sample_count": found.samples,
        "point_count": len(found.weights),
        "nearest_distance": found.nearest,
        "least_distance": found.bound,
    }
