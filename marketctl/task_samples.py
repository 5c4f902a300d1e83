"""Reads the samples of a task, for which a model is still to be found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sliceandpack.error.v1 import error_reason_pb2 as reasons

from marketctl.picture_folders import read_pictures
from marketctl.samples import Complaints, check_range
from specification.checks import LABEL_FORM, LARGEST, is_label
from specification.model import LEAST_SHARE
from svckit import npz
from svckit.errors import InvalidArgument
from svckit.input_messages import encode_input
from svckit.input_spec import ELEMENT_TYPES, FLOAT32, LABELS, Image, InputSpec, Tensor, Text
from svckit.samples import MAX_BYTES, accepted_range

Array = npt.NDArray[Any]
Places = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class TaskSamples:
    """What somebody looks for a model for.

    Attributes:
        arrays: An array per input by its name, first axis the sample.
        inputs: What they mean.
        places: The class of every sample `(n,)`; None where they have none.
        labels: What the classes are called; empty where there are none.
    """

    arrays: Mapping[str, Array]
    inputs: tuple[InputSpec, ...]
    places: Places | None
    labels: tuple[str, ...]

    def __len__(self) -> int:
        """How many samples there are."""
        return len(next(iter(self.arrays.values())))

    def some(self, most: int) -> TaskSamples:
        """Returns at most `most` of them: the first of each class, as many of each.

        Args:
            most: Samples; more where so many do for a class too few.
        """
        if len(self) <= most:
            return self
        places = np.zeros(len(self), np.int64) if self.places is None else self.places
        present = np.unique(places)
        share = max(LEAST_SHARE, most // len(present))
        chosen = np.concatenate([np.flatnonzero(places == one)[:share] for one in present])
        arrays = {name: array[chosen] for name, array in self.arrays.items()}
        kept = None if self.places is None else self.places[chosen]
        return replace(self, arrays=arrays, places=kept)


def read_folder(folder: Path, complaints: Complaints) -> TaskSamples:
    """Reads a folder of pictures.

    Args:
        folder: With one folder of pictures for each class, or with pictures alone.
        complaints: Told of what is left out.

    Raises:
        InvalidArgument: SAMPLES_UNREADABLE.
    """
    pictures = read_pictures(folder, complaints)
    pixels = np.stack([picture.pixels for picture in pictures])
    spec = InputSpec("image", pixels.shape[1:], FLOAT32, Image(True, 0.0, 1.0))
    names = [picture.label for picture in pictures if picture.label is not None]
    if not names:
        return TaskSamples({spec.name: pixels}, (spec,), None, ())
    return TaskSamples({spec.name: pixels}, (spec,), *_by_name(folder, names))


def read_file(
    path: Path, declared: Sequence[InputSpec], names: Sequence[str], complaints: Complaints
) -> TaskSamples:
    """Reads an npz with an array per input and, where the samples have classes, `labels`.

    Args:
        path: The file.
        declared: What its inputs mean; those left out are plain numbers.
        names: What the classes are called that `labels` has the numbers of; empty where it has
            their names.
        complaints: Told of pictures that are all but flat.

    Raises:
        InvalidArgument: SAMPLES_UNREADABLE, SAMPLES_TOO_LARGE, SAMPLES_MISMATCH or
            SAMPLES_OUT_OF_RANGE.
    """
    arrays = _arrays(path)
    classes = arrays.pop(LABELS, None)
    by_name = {spec.name: spec for spec in declared}
    if not arrays or by_name.keys() - arrays.keys():
        wanted = ", ".join(sorted(by_name.keys() - arrays.keys())) or "an input"
        raise _mismatch(path, f"it has no array for {wanted}")
    counts = {len(array) if array.ndim else 0 for array in (*arrays.values(), *_given(classes))}
    if len(counts) > 1 or 0 in counts:
        raise _mismatch(path, f"its arrays have {' and '.join(map(str, sorted(counts)))} samples")
    inputs = tuple(
        _completed(path, by_name.get(name) or InputSpec(name, (), "", Tensor()), array)
        for name, array in sorted(arrays.items())
    )
    for spec in inputs:
        if isinstance(spec.semantics, Image):
            check_range(path, arrays[spec.name], encode_input(spec), complaints)
        else:
            _check_values(path, arrays[spec.name], spec)
    if classes is None:
        return TaskSamples(arrays, inputs, None, ())
    return TaskSamples(arrays, inputs, *_classes(path, classes, names))


def _arrays(path: Path) -> dict[str, Array]:
    try:
        return npz.read_arrays(path, MAX_BYTES)
    except npz.TooLargeError as error:
        raise InvalidArgument(
            reasons.ERROR_REASON_SAMPLES_TOO_LARGE,
            f"{path} takes {error.size_bytes} bytes, more than {MAX_BYTES}.",
            advice="Leave some samples out: a few of each class are enough.",
        ) from None
    except npz.UnreadableError as error:
        raise InvalidArgument(
            reasons.ERROR_REASON_SAMPLES_UNREADABLE,
            f"{path} is no npz of plain arrays: {error}.",
            advice="Write it with numpy.savez, an array per input and `labels`, or give a folder "
            "of pictures.",
        ) from None


def _given(classes: Array | None) -> tuple[Array, ...]:
    return () if classes is None else (classes,)


def _completed(path: Path, spec: InputSpec, array: Array) -> InputSpec:
    """Reads from an array what was not declared of it."""
    shape, element = array.shape[1:], array.dtype.name
    if element == "float64":
        element = FLOAT32
    if element not in ELEMENT_TYPES:
        raise _mismatch(path, f"{spec.name!r} is {array.dtype}, no numbers that models take")
    if spec.shape not in ((), shape):
        raise _mismatch(path, f"{spec.name!r} is {shape} a sample, declared is {spec.shape}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise _mismatch(path, f"{spec.name!r} has values that are not finite")
    match spec.semantics:
        case Image() if len(shape) != 3:
            raise _mismatch(path, f"{spec.name!r} is {shape} a sample, pictures have three axes")
        case Text() if element == FLOAT32:
            raise _mismatch(path, f"{spec.name!r} is {array.dtype}, tokens are integers")
    return replace(spec, shape=shape, element_type=element)


def _check_values(path: Path, array: Array, spec: InputSpec) -> None:
    """Refuses values that the input cannot have, tokens of no vocabulary among them."""
    least, most = accepted_range(spec) or (-LARGEST, LARGEST)
    lowest, highest = array.min(), array.max()
    if lowest < least or highest > most:
        raise InvalidArgument(
            reasons.ERROR_REASON_SAMPLES_OUT_OF_RANGE,
            f"{path}: {spec.name!r} has values of {lowest:g} to {highest:g}; {least:g} to {most:g} "
            "can be.",
            advice="Give the samples as a model would be fed, tokens by the vocabulary named.",
            metadata={"array": spec.name},
        )


def _classes(path: Path, given: Array, names: Sequence[str]) -> tuple[Places, tuple[str, ...]]:
    if given.ndim != 1 or given.dtype.kind not in "iuU":
        raise _mismatch(path, f"labels are {given.dtype} {given.shape}, no numbers or texts (n,)")
    if given.dtype.kind == "U" or not names:
        return _by_name(path, [str(label) for label in given])
    if given.min() < 0 or given.max() >= len(names):
        raise _mismatch(path, f"labels go up to {given.max()}, but {len(names)} names were given")
    # Classes without a sample are no part of the task.
    return _by_name(path, [names[int(label)] for label in given])


def _by_name(path: Path, labels: Sequence[str]) -> tuple[Places, tuple[str, ...]]:
    """Classes in the order in which their first samples come."""
    names = tuple(dict.fromkeys(labels))
    for name in names:
        if not is_label(name):
            raise InvalidArgument(
                reasons.ERROR_REASON_SAMPLES_MISMATCH,
                f"{path}: a class is called {name!r}, which is no {LABEL_FORM}.",
                advice="Call every class so: a folder by its name, in an npz by labels.",
            )
    place = {name: number for number, name in enumerate(names)}
    return np.array([place[label] for label in labels], dtype=np.int64), names


def _mismatch(path: Path, what: str) -> InvalidArgument:
    return InvalidArgument(
        reasons.ERROR_REASON_SAMPLES_MISMATCH,
        f"{path}: {what}.",
        advice="Give one array per input, first axis the sample, and `labels` as text, or as whole "
        "numbers together with --labels.",
    )
