"""Chooses samples of other models, and writes and reads what was chosen."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from slicer_svc.fed_alike import matched
from slicer_svc.samples_file import read_arrays, read_samples
from slicer_svc.slicing.samples import UNLABELLED_MOST, Samples, unlabelled
from svckit.input_spec import InputSpec

Arrays = dict[str, NDArray[np.generic]]

MOST_BYTES: Final = 128 * 2**20
"""Size of all chosen samples, at most, but for one that is larger by itself."""


def choose_other_samples(
    request: dict[str, Any], *, seen: Callable[[Samples], Samples] | None = None
) -> dict[str, Any]:
    """Takes about as many samples of each of several models, evenly over its classes.

    Args:
        request: ``inputs`` is what `InputSpec.to_json` wrote of the model at hand; ``candidates``
            are the others, each with ``model``, its name, ``samples``, a path, ``count``, how many
            those are, and ``inputs``; ``new_other_samples`` is the path of what is chosen, to be
            written.
        seen: Leaves out samples that nothing may see; the candidates' counts do so already.

    Returns:
        ``models``, the names of those that samples were taken of, and ``count``.

    Raises:
        SubmissionError: Samples cannot be read.
    """
    own = [InputSpec.from_json(spec) for spec in request["inputs"]]
    candidates = request["candidates"]
    most = min(UNLABELLED_MOST, max(1, MOST_BYTES // _sample_bytes(own)))
    shares = _shares([candidate["count"] for candidate in candidates], most)
    asked = [pair for pair in zip(candidates, shares, strict=True) if pair[1]]
    chosen = [_taken(own, candidate, share, seen) for candidate, share in asked]
    names = sorted(spec.name for spec in own)
    arrays = {name: np.concatenate([part[name] for part in chosen]) for name in names}
    _write(Path(request["new_other_samples"]), arrays)
    models = [candidate["model"] for candidate, _ in asked]
    return {"models": models, "count": sum(share for _, share in asked)}


def read_other_samples(path: Path) -> Samples:
    """Reads what `choose_other_samples` wrote, in the names of the model that it was chosen for."""
    return unlabelled(read_arrays(path))


def _taken(
    own: Sequence[InputSpec],
    candidate: dict[str, Any],
    most: int,
    seen: Callable[[Samples], Samples] | None,
) -> Arrays:
    """Some samples of a model, by the names of the model at hand."""
    inputs = [InputSpec.from_json(spec) for spec in candidate["inputs"]]
    pairs = matched(own, inputs)
    assert pairs is not None, "only models with the same inputs are candidates"
    samples = read_samples(Path(candidate["samples"]), inputs)
    if seen is not None:
        samples = seen(samples)
    by_class = np.argsort(samples.labels, kind="stable")
    evenly = np.linspace(0, len(samples) - 1, most).round().astype(np.int64)
    few = samples.take(by_class[evenly])
    return {mine.name: few.inputs[theirs.name] for mine, theirs in pairs}


def _sample_bytes(specs: Sequence[InputSpec]) -> int:
    return sum(math.prod(spec.shape) * np.dtype(spec.element_type).itemsize for spec in specs)


def _shares(counts: Sequence[int], most: int) -> list[int]:
    """Shares of `most`, as equal as they can be where each has its own limit."""
    shares = [0] * len(counts)
    for served, place in enumerate(sorted(range(len(counts)), key=counts.__getitem__)):
        shares[place] = min(counts[place], (most - sum(shares)) // (len(counts) - served))
    return shares


def _write(path: Path, arrays: Arrays) -> None:
    # Not numpy.savez: it takes no array by the name "file", which an input may have.
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            # A name alone gives the member a fixed date: equal choices are equal bytes.
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                npy.write_array(member, array)
