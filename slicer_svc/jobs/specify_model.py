"""Makes the specification of a model from its samples and its outputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from onnxgraph.serialise import from_trusted_bytes
from slicer_svc.jobs.specify_task import SEED, some_places
from slicer_svc.samples_file import read_samples
from slicer_svc.slicing.network import Network
from slicer_svc.slicing.samples import Samples
from slicer_svc.slicing.submission import class_scores
from specification.codec import to_bytes
from specification.errors import SpecificationError
from specification.making import Labelling, make
from specification.model import VERSION, Specification
from svckit.input_spec import InputSpec


def specify_model(
    request: dict[str, Any],
    report: Callable[[dict[str, Any]], None],  # noqa: ARG001
) -> dict[str, Any]:
    """Makes the specification of a model that was checked before.

    Args:
        request: ``normalised`` and ``samples`` are paths, ``specification`` one to be written;
            ``labels`` are the classes' labels; ``inputs`` what `InputSpec.to_json` wrote.
        report: Is told nothing.

    Returns:
        What `specified` says.

    Raises:
        SubmissionError: The samples cannot be read.
    """
    inputs = [InputSpec.from_json(spec) for spec in request["inputs"]]
    samples = read_samples(Path(request["samples"]), inputs)
    network = Network.of(from_trusted_bytes(Path(request["normalised"]).read_bytes()))
    scores = class_scores(network, samples)
    return specified(samples, inputs, request["labels"], scores, Path(request["specification"]))


def specified(
    samples: Samples,
    inputs: Sequence[InputSpec],
    labels: Sequence[str],
    scores: NDArray[np.float32],
    path: Path,
) -> dict[str, Any]:
    """Makes the specification of a model, or says why there can be none.

    Args:
        samples: Its samples.
        inputs: Its inputs.
        labels: The labels of its classes.
        scores: What it makes of its samples, `(n, classes)`.
        path: Where to write the specification.

    Returns:
        ``version``, ``facts`` and ``missing``, as the columns of `SpecificationRow`.
    """
    chosen = some_places(samples.labels, len(labels))
    few = samples.take(chosen)
    labelling = Labelling(tuple(labels), few.labels, softmax(scores[chosen], axis=1))
    try:
        found = make(few.inputs, inputs, labelling, seed=SEED)
        path.write_bytes(to_bytes(found))
    except SpecificationError as error:
        return _missing(f"{error.message}. {error.advice}")
    except np.linalg.LinAlgError as error:
        # A model is none the worse for samples that no specification can be computed of.
        return _missing(f"It could not be computed of these samples: {error}.")
    return {"version": VERSION, "facts": _facts(found), "missing": ""}


def _facts(found: Specification) -> dict[str, Any]:
    return {
        "space": found.space.kind,
        "point_count": len(found.weights),
        "nearest_distance": found.nearest,
        "least_distance": found.bound,
    }


def _missing(why: str) -> dict[str, Any]:
    return {"version": VERSION, "facts": {}, "missing": why}
