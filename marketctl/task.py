"""The options that tell of a task, and the specification that is made of its samples here."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from marketctl.columns import count
from marketctl.complaints import PrintedComplaints
from marketctl.session import Session
from marketctl.submission import ImageOptions, OtherInputOptions, input_specs
from svckit.artifacts.threads import in_thread

if TYPE_CHECKING:
    from marketctl.task_samples import TaskSamples
    from specification.model import PrivacyRequest, Specification

SAMPLES_HELP: Final = (
    "A folder with one folder of pictures for each class, named as the class; a folder of "
    "pictures; or an npz with an array per input and, for classes, `labels`."
)

_SEED: Final = 0

# As many as the slicer looks at: the time grows with their square. Noise alone gains by more.
_MOST_SAMPLES: Final = 1_000


@dataclass(frozen=True)
class SampleMeaning:
    """What an npz of samples means.

    Attributes:
        image: Which inputs are pictures, and what they are like.
        other: Which are texts, or all of them in a file.
        labels: What the classes are called.
    """

    image: ImageOptions
    other: OtherInputOptions
    labels: str | None

    @property
    def given(self) -> bool:
        """Whether something was said at all."""
        return self != SampleMeaning(ImageOptions(), OtherInputOptions(), None)


LabelsOption = Annotated[
    str | None,
    typer.Option(
        "--labels",
        metavar="A,B,C",
        help="What the classes of an npz are called whose `labels` are numbers, from 0 on.",
        rich_help_panel="What the inputs mean",
    ),
]


async def specify_samples(
    session: Session, path: Path, meaning: SampleMeaning, privacy: PrivacyRequest | None = None
) -> Specification:
    """Makes the specification of samples, on this machine; nothing is sent anywhere.

    Args:
        session: Where to complain of pictures that cannot be read.
        path: A folder of pictures, or an npz.
        meaning: What the npz means.
        privacy: The noise that is put on it, if any.

    Raises:
        typer.BadParameter: Options for an npz are given with a folder.
        InvalidArgument: The samples cannot be read.
        SpecificationError: There can be no specification of them.
    """
    samples = await in_thread(_samples, session, path, meaning)
    looked_at = samples.some(_MOST_SAMPLES) if privacy is None else samples
    if len(looked_at) < len(samples):
        some = f"{count(len(looked_at))} of {count(len(samples))} samples"
        session.printer.note(f"Looking at {some}, the first of each class.")
    return await in_thread(_made, looked_at, privacy)


def _samples(session: Session, path: Path, meaning: SampleMeaning) -> TaskSamples:
    from marketctl.task_samples import read_file, read_folder
    from svckit.input_messages import decode_input

    complaints = PrintedComplaints(session.printer)
    if path.is_dir():
        if meaning.given:
            raise typer.BadParameter("a folder has pictures: leave out what the inputs mean")
        found = read_folder(path, complaints)
        if complaints.count:
            pictures = "one picture" if complaints.count == 1 else f"{complaints.count} pictures"
            session.printer.warn(f"Left out {pictures} that could not be read.")
        return found
    declared = [decode_input(spec) for spec in input_specs(meaning.image, meaning.other)]
    return read_file(path, declared, _names(meaning.labels), complaints)


def _names(text: str | None) -> Sequence[str]:
    return [] if text is None else [name.strip() for name in text.split(",")]


def _made(samples: TaskSamples, privacy: PrivacyRequest | None) -> Specification:
    from specification.making import Labelling, make

    labelling = None if samples.places is None else Labelling(samples.labels, samples.places)
    # Whoever knows the seed of noise can take it off again.
    seed = _SEED if privacy is None else secrets.randbits(63)
    return make(samples.arrays, samples.inputs, labelling, seed=seed, privacy=privacy)


def read_specification(path: Path) -> Specification:
    """Reads a file that ``marketctl specify`` wrote.

    Args:
        path: The file.

    Raises:
        SpecificationError: It is none, or of another version.
        OSError: It cannot be read.
    """
    from specification.codec import MOST_BYTES, from_bytes

    with path.open("rb") as stream:
        # One byte more than any has is enough to refuse it.
        return from_bytes(stream.read(MOST_BYTES + 1))
