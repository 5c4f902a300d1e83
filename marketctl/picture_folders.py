"""Reads folders of pictures whose model is still to be found: one a class, or one without."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from sliceandpack.error.v1 import error_reason_pb2 as reasons

from marketctl.pictures import PICTURES, decoded
from marketctl.samples import Complaints
from specification.spaces.canonical import SIDE, canonical
from svckit.errors import InvalidArgument
from svckit.input_spec import FLOAT32, Image, InputSpec

# A larger picture is made smaller by whole factors first, down to about so many times `SIDE`.
_FINE: Final = 4

_ADVICE: Final = (
    "Give a folder with one folder of pictures for each class, named as the class, or one with "
    f"pictures alone ({', '.join(sorted(PICTURES))})."
)


@dataclass(frozen=True, eq=False)
class TaskPicture:
    """A picture of a task.

    Attributes:
        source: The file.
        label: What the folder is called that it lies in; None where there are no classes.
        pixels: float32 `(SIDE, SIDE, 3)`, brightness from 0 to 1.
    """

    source: Path
    label: str | None
    pixels: npt.NDArray[np.float32]


def read_pictures(folder: Path, complaints: Complaints) -> list[TaskPicture]:
    """Reads the pictures of a folder in the form that specifications are made of.

    Args:
        folder: With one folder of pictures for each class, or with pictures alone.
        complaints: Told of what is left out.

    Returns:
        At least one picture, and at least one of every class; in the order of their names.

    Raises:
        InvalidArgument: SAMPLES_UNREADABLE, the folder is neither, or a class has no picture that
            can be read.
    """
    classes = [child for child in _seen(folder) if child.is_dir()]
    if not classes:
        return _read(folder, None, complaints)
    beside = [child for child in _seen(folder) if child.suffix.lower() in PICTURES]
    if beside:
        raise _refused(f"{folder} has pictures beside folders: {beside[0].name} is of no class.")
    return [picture for one in classes for picture in _read(one, one.name, complaints)]


def _seen(folder: Path) -> list[Path]:
    """What lies in a folder but for what systems hide there, by name."""
    return sorted(child for child in folder.iterdir() if not child.name.startswith((".", "__")))


def _read(folder: Path, label: str | None, complaints: Complaints) -> list[TaskPicture]:
    found = [TaskPicture(path, label, pixels) for path, pixels in _pixels(folder, complaints)]
    if not found:
        raise _refused(f"{folder} has no picture that can be read.")
    return found


def _pixels(folder: Path, complaints: Complaints) -> Iterator[tuple[Path, npt.NDArray[np.float32]]]:
    files = _seen(folder)
    pictures = [path for path in files if path.is_file() and path.suffix.lower() in PICTURES]
    if len(files) > len(pictures):
        others = len(files) - len(pictures)
        complaints.warn(
            f"{folder}: passed over {others} of {len(files)} entries, no pictures by their names."
        )
    for path in pictures:
        try:
            yield path, _canonical(path)
        except (InvalidArgument, OSError) as error:
            complaints.unreadable(error)


def _canonical(path: Path) -> npt.NDArray[np.float32]:
    picture = decoded(path).convert("RGB")
    factor = min(picture.size) // (_FINE * SIDE)
    if factor > 1:
        picture = picture.reduce(factor)
    pixels = np.asarray(picture, np.float32) / 255.0
    spec = InputSpec("picture", pixels.shape, FLOAT32, Image(True, 0.0, 1.0))
    return np.asarray(canonical(pixels[None], spec)[0])


def _refused(message: str) -> InvalidArgument:
    return InvalidArgument(reasons.ERROR_REASON_SAMPLES_UNREADABLE, message, advice=_ADVICE)
