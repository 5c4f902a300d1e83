"""Reads the evaluation samples of a pack: an npz that nobody has looked at yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from packer_svc.fusion.errors import FusionError, FusionReason
from svckit import npz
from svckit.dealing import sample_digests
from svckit.input_spec import LABELS, Image, InputSpec
from svckit.samples import (
    MAX_BYTES,
    accepted_range,
    expected_names,
    has_form,
    read_checked,
    told_forms,
)

Inputs = dict[str, NDArray[np.generic]]
Labels = NDArray[np.int64]

FIELD: Final = "pack.options.evaluation_samples"
_MAX_TOLD: Final = 10
_ADVICE: Final = (
    "Write them with numpy.savez: one plain array per input of the pack by its name, and labels, "
    "the label of every sample as text."
)


@dataclass(frozen=True, eq=False)
class EvaluationSamples:
    """Samples that a pack is judged by, equal ones once.

    Attributes:
        inputs: One array per input by its name, first axis the sample.
        labels: The place of each sample's class in the pack `(n,)`.
        places: The place of each sample in the file.
        digests: Of each sample.
    """

    inputs: Inputs
    labels: Labels
    places: Sequence[int]
    digests: Sequence[str]

    def refuse_seen(self, files: Sequence[Path], fitted: Mapping[str, NDArray[np.generic]]) -> None:
        """Refuses samples that the pack was made from, of whatever class they were there.

        Args:
            files: The samples of the pack's models.
            fitted: Those of the pack's classes, as the pack is fed.

        Raises:
            FusionError: FIELD_INVALID.
        """
        known = set(sample_digests(fitted))
        for path in dict.fromkeys(files):
            inputs, _ = read_checked(path)
            known |= set(sample_digests(inputs))
        seen = [
            place
            for place, digest in zip(self.places, self.digests, strict=True)
            if digest in known
        ]
        if seen:
            raise FusionError(
                FusionReason.FIELD_INVALID,
                f"{len(seen)} of {len(self.places)} evaluation samples are among those that the "
                f"pack is made from, first the one at index {seen[0]}.",
                advice="Leave them out: what has been seen cannot tell of what will be.",
                metadata={"field": FIELD, "sample": str(seen[0]), "seen": str(len(seen))},
            )


def read_evaluation_samples(
    path: Path, specs: Sequence[InputSpec], labels: Sequence[str]
) -> EvaluationSamples:
    """Reads and checks evaluation samples.

    Args:
        path: The npz file.
        specs: The pack's inputs.
        labels: The pack's labels.

    Raises:
        FusionError: The file is no npz of plain arrays, is too large, does not fit the pack's
            inputs or labels, or lacks a class.
    """
    arrays = _arrays(path)
    names = expected_names(specs)
    if set(arrays) != names:
        raise _mismatch(
            ", ".join(sorted(set(arrays) ^ names)),
            f"The evaluation samples hold {sorted(arrays)}, the pack needs {sorted(names)}.",
        )
    truth = _truth(arrays.pop(LABELS), labels)
    for spec in specs:
        _check_array(spec, arrays[spec.name], len(truth))
    digests = sample_digests(arrays)
    # Whoever sends a sample twice has not asked the pack twice.
    first: dict[tuple[str, int], int] = {}
    for place, pair in enumerate(zip(digests, truth.tolist(), strict=True)):
        first.setdefault(pair, place)
    places = list(first.values())
    chosen = {name: array[places] for name, array in arrays.items()}
    return EvaluationSamples(chosen, truth[places], places, [digests[place] for place in places])


def _arrays(path: Path) -> Inputs:
    try:
        return npz.read_arrays(path, MAX_BYTES)
    except npz.TooLargeError as error:
        raise FusionError(
            FusionReason.SAMPLES_TOO_LARGE,
            f"The evaluation samples take {error.size_bytes} bytes, more than {MAX_BYTES}.",
            advice="Leave some out: the bound hardly narrows beyond a few thousand samples.",
            metadata={"limit_bytes": str(MAX_BYTES), "bytes": str(error.size_bytes)},
        ) from error
    except npz.UnreadableError as error:
        raise FusionError(
            FusionReason.SAMPLES_UNREADABLE,
            f"The evaluation samples cannot be read: {error}.",
            advice=_ADVICE,
        ) from error


def _truth(given: NDArray[np.generic], labels: Sequence[str]) -> Labels:
    """The place of each sample's class in the pack."""
    if given.shape == (0,):
        raise _mismatch(LABELS, "The evaluation samples hold no sample.")
    if given.dtype.kind != "U" or given.ndim != 1:
        raise _mismatch(LABELS, f"labels are {given.dtype} {given.shape}, not texts (n,).")
    places = {label: place for place, label in enumerate(labels)}
    unknown = sorted(set(given.tolist()) - set(places))
    if unknown:
        raise FusionError(
            FusionReason.CLASS_UNKNOWN,
            f"The pack has no class {', '.join(map(repr, unknown[:_MAX_TOLD]))}; it has "
            f"{', '.join(map(repr, labels[:_MAX_TOLD]))}.",
            advice="Give samples of the pack's classes alone, labelled as the pack labels them.",
            metadata={"label": str(unknown[0])},
        )
    missing = sorted(set(places) - set(given.tolist()))
    if missing:
        raise FusionError(
            FusionReason.SAMPLES_CLASS_MISSING,
            f"No evaluation sample is of the class {', '.join(map(repr, missing[:_MAX_TOLD]))}.",
            advice="Give samples of every class of the pack, about as many of each as it will see.",
            metadata={"label": missing[0]},
        )
    return np.array([places[label] for label in given.tolist()], dtype=np.int64)


def _check_array(spec: InputSpec, array: NDArray[np.generic], count: int) -> None:
    if not has_form(array, spec, count):
        forms = told_forms(array, spec, count)
        raise FusionError(
            FusionReason.SAMPLES_MISMATCH,
            f"{spec.name} of the evaluation samples is {forms['actual']}, the pack needs "
            f"{forms['expected']}.",
            advice="Give one array of the pack's type and shape, as many samples as labels.",
            metadata={"array": spec.name, **forms},
        )
    low, high = _bounds(spec)
    values = array.astype(np.float64)
    # NaN is within no bounds.
    fits = np.isfinite(values) & (values >= low) & (values <= high)
    wrong = np.flatnonzero(~fits.reshape(count, -1).all(axis=1))
    if wrong.size:
        raise FusionError(
            FusionReason.SAMPLES_OUT_OF_RANGE,
            f"{spec.name} has values that are not finite or outside of what the pack is fed, first "
            f"in the evaluation sample {wrong[0]}.",
            advice="Scale and normalise the samples as those that the models were submitted with.",
            metadata={"array": spec.name, "sample": str(wrong[0])},
        )


def _bounds(spec: InputSpec) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The least and the largest value that the pack is fed, for a picture by channel."""
    accepted = accepted_range(spec)
    if accepted is None:
        return np.array(-np.inf), np.array(np.inf)
    low, high = map(np.float64, accepted)
    if not isinstance(spec.semantics, Image):
        return np.array(low), np.array(high)
    mean = np.asarray(spec.image.mean or (0.0,), dtype=np.float64)
    deviation = np.asarray(spec.image.deviation or (1.0,), dtype=np.float64)
    axes = (-1,) if spec.image.channels_last else (-1, 1, 1)
    return ((low - mean) / deviation).reshape(axes), ((high - mean) / deviation).reshape(axes)


def _mismatch(array: str, message: str) -> FusionError:
    return FusionError(
        FusionReason.SAMPLES_MISMATCH, message, advice=_ADVICE, metadata={"array": array}
    )
