"""Reads what is to be predicted: pictures, folders of pictures, and npz files."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
from sliceandpack.error.v1 import error_reason_pb2 as reasons
from sliceandpack.slicer.v1 import input_spec_pb2 as pb

from marketctl.pictures import PICTURES, PictureReader
from svckit.errors import InvalidArgument

Array = npt.NDArray[Any]

ELEMENTS: Final[Mapping[int, type[np.generic]]] = {
    pb.ELEMENT_TYPE_FLOAT32: np.float32,
    pb.ELEMENT_TYPE_UINT8: np.uint8,
    pb.ELEMENT_TYPE_INT64: np.int64,
    pb.ELEMENT_TYPE_INT32: np.int32,
}
"""numpy's types of the inputs' elements."""

# A value may be beyond the range by this share of it, which noise and resampling may bring about;
# values of another scale are beyond it by far.
_SLACK: Final = 0.25
# Samples that cover less than this share of the range are flat, or of another scale.
_LEAST_SPREAD: Final = 1 / 16


@dataclass(frozen=True)
class Sample:
    """One sample as the model is fed.

    Attributes:
        source: The file, with the sample's place in it where it has several.
        inputs: An array per input, without the batch axis.
    """

    source: str
    inputs: Mapping[str, Array]


class Complaints(Protocol):
    """Told what is wrong with a folder that is read all the same."""

    def warn(self, text: str) -> None:
        """Tells which files of a folder are passed over."""

    def unreadable(self, error: InvalidArgument | OSError) -> None:
        """Tells of a picture of a folder that cannot be read."""


def read_samples(
    paths: Sequence[Path], inputs: Sequence[pb.InputSpec], complaints: Complaints
) -> Iterator[Sample]:
    """Yields the samples of all paths, in order.

    Args:
        paths: Pictures, folders of pictures, and npz files.
        inputs: The model's inputs.
        complaints: Told of what is left out of a folder.

    Raises:
        InvalidArgument: A file that was named does not fit the model, or cannot be read as what it
            is.
    """
    pictures: PictureReader | None = None
    for path in paths:
        if path.suffix.lower() == ".npz":
            yield from _arrays(path, inputs, complaints)
            continue
        pictures = pictures or PictureReader(inputs)
        if not path.is_dir():
            yield Sample(str(path), {pictures.input: pictures.read(path)})
            continue
        for file in _pictures_in(path, complaints):
            try:
                picture = pictures.read(file)
            except (InvalidArgument, OSError) as error:
                complaints.unreadable(error)
            else:
                yield Sample(str(file), {pictures.input: picture})


def _pictures_in(folder: Path, complaints: Complaints) -> list[Path]:
    files = sorted(file for file in folder.iterdir() if file.is_file())
    pictures = [file for file in files if file.suffix.lower() in PICTURES]
    if len(files) > len(pictures):
        others = len(files) - len(pictures)
        complaints.warn(
            f"{folder}: passed over {others} of {len(files)} files, no pictures by their names."
        )
    if not pictures:
        raise InvalidArgument(
            reasons.ERROR_REASON_SAMPLES_UNREADABLE,
            f"{folder} has no pictures.",
            advice=f"Give a folder with pictures in it ({', '.join(sorted(PICTURES))}).",
        )
    return pictures


def _arrays(path: Path, inputs: Sequence[pb.InputSpec], complaints: Complaints) -> Iterator[Sample]:
    try:
        if not zipfile.is_zipfile(path):
            raise zipfile.BadZipFile("it is no zip archive")
        # numpy leaves a file open that it cannot read; this one is closed here.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            arrays = {spec.name: _array(path, archive, spec, complaints) for spec in inputs}
    except (ValueError, TypeError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise InvalidArgument(
            reasons.ERROR_REASON_SAMPLES_UNREADABLE,
            f"{path} is no npz of plain arrays: {error}",
            advice="Write it with numpy.savez, an array per input of the model.",
        ) from None
    counts = {len(array) for array in arrays.values()}
    if len(counts) > 1:
        raise _mismatch(path, f"its arrays have {' and '.join(map(str, sorted(counts)))} samples")
    if counts == {0}:
        raise _mismatch(path, "it has no samples")
    for place in range(counts.pop()):
        yield Sample(f"{path}[{place}]", {name: array[place] for name, array in arrays.items()})


def _array(
    path: Path, archive: Mapping[str, Array], spec: pb.InputSpec, complaints: Complaints
) -> Array:
    """Returns the array of an input, if it fits."""
    if spec.name not in archive:
        known = ", ".join(sorted(archive)) or "nothing"
        raise _mismatch(path, f"it has no array {spec.name!r} (it has {known})")
    array = archive[spec.name]
    wanted = ELEMENTS.get(spec.element_type, np.float32)
    shape = ", ".join(["n", *(str(extent) for extent in spec.shape)])
    if array.ndim != len(spec.shape) + 1 or list(array.shape[1:]) != list(spec.shape):
        raise _mismatch(
            path, f"{spec.name!r} has the shape {array.shape}, the model takes ({shape})"
        )
    # Whole numbers for a model that takes fractions were most likely never scaled.
    kinds = {np.dtype(kind).kind in "iu" for kind in (array.dtype, wanted)}
    if len(kinds) > 1 or not np.can_cast(array.dtype, wanted, "same_kind"):
        name = np.dtype(wanted).name
        raise _mismatch(path, f"{spec.name!r} is {array.dtype}, the model takes {name}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise _mismatch(path, f"{spec.name!r} has values that are not finite")
    if len(array) and spec.HasField("image"):
        check_range(path, array, spec, complaints)
    return array.astype(wanted, copy=False)


def check_range(path: Path, array: Array, spec: pb.InputSpec, complaints: Complaints) -> None:
    """Refuses pictures whose values are on another scale than was declared.

    Args:
        path: The file that they are from.
        array: The pictures, first axis the sample, at least one.
        spec: What they are declared as.
        complaints: Told of pictures that are all but flat.

    Raises:
        InvalidArgument: SAMPLES_OUT_OF_RANGE.
    """
    bounds = spec.image.value_range
    extent = bounds.maximum - bounds.minimum
    if extent <= 0:
        return
    axis = array.ndim - 1 if spec.image.layout == pb.IMAGE_LAYOUT_NHWC else 1
    others = tuple(other for other in range(array.ndim) if other != axis)
    deviation = np.asarray(spec.image.standard_deviation or 1.0)
    mean = np.asarray(spec.image.mean or 0.0)
    lowest = float((array.min(axis=others) * deviation + mean).min())
    highest = float((array.max(axis=others) * deviation + mean).max())
    slack = _SLACK * extent
    if bounds.minimum - slack <= lowest and highest <= bounds.maximum + slack:
        if highest - lowest < _LEAST_SPREAD * extent:
            complaints.warn(
                f"{path}: before normalisation {spec.name!r} spans {lowest:g} to {highest:g} only, "
                f"declared are {bounds.minimum:g} to {bounds.maximum:g}; is it scaled so?"
            )
        return
    raise InvalidArgument(
        reasons.ERROR_REASON_SAMPLES_OUT_OF_RANGE,
        f"{path}: before normalisation {spec.name!r} has values of {lowest:g} to {highest:g}; "
        f"declared are {bounds.minimum:g} to {bounds.maximum:g}.",
        advice="Scale and normalise the samples as the input is declared.",
        metadata={"array": spec.name},
    )


def _mismatch(path: Path, what: str) -> InvalidArgument:
    return InvalidArgument(
        reasons.ERROR_REASON_SAMPLES_MISMATCH,
        f"{path} does not fit the model: {what}.",
        advice="Look at the pack's inputs with `marketctl packs show`.",
    )
