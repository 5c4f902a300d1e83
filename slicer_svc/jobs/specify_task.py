"""Makes the specification of a task from its samples; loads neither torch nor onnx."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from slicer_svc.errors import SubmissionError, SubmissionReason
from slicer_svc.sample_values import check_values
from slicer_svc.samples_file import read_arrays
from slicer_svc.slicing.samples import spread
from specification.codec import to_bytes
from specification.making import Labelling, make
from specification.model import LEAST_SHARE
from svckit.input_spec import ELEMENT_TYPES, LABELS, InputSpec, Tensor

SEED: Final = 0
"""Of all specifications that the slicer makes: the same samples make the same one."""

MOST_SAMPLES: Final = 1_000
"""Samples that a specification is made of, but for what more many classes need: its time grows
with their square."""

Arrays = dict[str, NDArray[np.generic]]


def specify_task(
    request: dict[str, Any],
    report: Callable[[dict[str, Any]], None],  # noqa: ARG001
) -> dict[str, Any]:
    """Makes the specification of a task.

    Args:
        request: ``samples`` is a path, ``specification`` one to be written; ``labels`` are what
            the classes are called, empty for their numbers; ``inputs`` what `InputSpec.to_json`
            wrote, shapes and types left out; arrays beside them are plain numbers.
        report: Is told nothing.

    Returns:
        Nothing.

    Raises:
        SubmissionError: SAMPLES_UNREADABLE, SAMPLES_TOO_LARGE, SAMPLES_MISMATCH or
            SAMPLES_OUT_OF_RANGE.
        SpecificationError: There can be none of these samples.
    """
    arrays = read_arrays(Path(request["samples"]))
    classes = arrays.pop(LABELS, None)
    declared = [InputSpec.from_json(spec) for spec in request["inputs"]]
    inputs = _completed(arrays, declared, classes)
    labelling = None if classes is None else _labelling(classes, request["labels"])
    labels = np.zeros(_count(arrays), np.int64) if labelling is None else labelling.labels
    chosen = some_places(labels, 0 if labelling is None else len(labelling.names))
    if labelling is not None:
        labelling = replace(labelling, labels=labelling.labels[chosen])
    few = {name: array[chosen] for name, array in arrays.items()}
    found = make(few, inputs, labelling, seed=SEED)
    Path(request["specification"]).write_bytes(to_bytes(found))
    return {}


def some_places(labels: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Places of the samples that are looked at, evenly over the classes."""
    return spread(labels, max(MOST_SAMPLES, LEAST_SHARE * classes))


def _count(arrays: Arrays) -> int:
    return len(next(iter(arrays.values())))


def _completed(
    arrays: Arrays, declared: Sequence[InputSpec], classes: NDArray[np.generic] | None
) -> list[InputSpec]:
    """Reads from the arrays what was not declared, and checks what was."""
    names = {spec.name for spec in declared}
    if not arrays or names - set(arrays):
        raise _mismatch(
            ", ".join(sorted(names - set(arrays))) or "inputs",
            f"The samples hold {sorted(arrays)}, declared are {sorted(names)}.",
        )
    others = [InputSpec(name, (), "", Tensor()) for name in sorted(set(arrays) - names)]
    counted = [*arrays.values(), *([] if classes is None else [classes])]
    counts = {len(array) if array.ndim else 0 for array in counted}
    if len(counts) > 1 or 0 in counts:
        raise _mismatch("inputs", f"The arrays have {sorted(counts)} samples.")
    found = []
    for spec in (*declared, *others):
        array = arrays[spec.name]
        shape, element = array.shape[1:], array.dtype.name
        if element not in ELEMENT_TYPES or spec.shape not in ((), shape):
            raise _mismatch(spec.name, f"{spec.name} is {array.dtype} {array.shape}.")
        if spec.kind == "image" and len(shape) != 3:
            raise _mismatch(spec.name, f"{spec.name} is {shape}, an image has three axes.")
        found.append(replace(spec, shape=shape, element_type=element))
        check_values(found[-1], array)
    return found


def _labelling(classes: NDArray[np.generic], names: Sequence[str]) -> Labelling:
    """The classes that have samples, called by their names."""
    if classes.dtype != np.int64 or classes.ndim != 1:
        raise _mismatch(LABELS, f"labels are {classes.dtype} {classes.shape}, not int64 (n,).")
    present, places = np.unique(classes, return_inverse=True)
    if names and (present[0] < 0 or present[-1] >= len(names)):
        raise _mismatch(
            LABELS, f"labels go from {present[0]} to {present[-1]}, {len(names)} names were given."
        )
    called = tuple(names[one] if names else str(one) for one in present.tolist())
    return Labelling(called, places.astype(np.int64))


def _mismatch(array: str, message: str) -> SubmissionError:
    return SubmissionError(
        SubmissionReason.SAMPLES_MISMATCH,
        message,
        advice="Give one array per declared input, first axis the sample, and labels as int64.",
        metadata={"array": array},
    )
