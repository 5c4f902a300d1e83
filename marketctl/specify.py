"""``marketctl specify``: writes what a search needs to know of samples, on this machine."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
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
    from specification.model import PrivacyRequest, Specification


def add_to(app: typer.Typer) -> None:
    """Adds the command.

    Args:
        app: The application.
    """
    command(app, "specify")(specify)


@dataclass(frozen=True)
class WritingOptions:
    """What is written, and where."""

    out: Annotated[Path, typer.Option(metavar="FILE", dir_okay=False, help="The file to write.")]
    force: Annotated[
        bool, typer.Option("--force", help="Replace a file that has other content.")
    ] = False
    epsilon: Annotated[
        float | None,
        typer.Option(
            metavar="E",
            help="Noise for (E, D)-differential privacy of every sample; for thousands of samples.",
        ),
    ] = None
    delta: Annotated[float, typer.Option(metavar="D", help="D of --epsilon.")] = 1e-5

    def privacy(self) -> PrivacyRequest | None:
        """Returns the noise that is asked for, if any."""
        from specification.model import PrivacyRequest

        return None if self.epsilon is None else PrivacyRequest(self.epsilon, self.delta)


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

    meaning = SampleMeaning(image, other, labels)
    found = await specify_samples(session, samples, meaning, to.privacy())
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
        ("nearest", _nearest(found)),
        ("noise", _noise(found)),
    ]


def _nearest(found: Specification) -> str:
    if found.privacy is not None:
        return ""  # It would tell of the samples what the noise hides.
    return f"{small(found.nearest)} from a point to a sample, at least {small(found.bound)}"


def _noise(found: Specification) -> str:
    if found.privacy is None:
        return ""
    noise = found.privacy
    return (
        f"ε = {noise.epsilon:g}, δ = {noise.delta:g}; samples clipped at {small(noise.clipping)}, "
        f"sensitivity {small(noise.sensitivity)}"
    )


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
        "privacy": asdict(found.privacy) if found.privacy else None,
    }
