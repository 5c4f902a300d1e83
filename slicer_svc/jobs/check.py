"""Checks a submission, graph, inputs and samples, and specifies what it makes of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from onnxgraph.cost import cost
from onnxgraph.load import load_model
from onnxgraph.normalise import normalise
from onnxgraph.serialise import to_bytes
from slicer_svc.jobs.semantics import complete_inputs
from slicer_svc.jobs.specify_model import specified
from slicer_svc.samples_file import read_samples
from slicer_svc.slicing.submission import check_submission
from svckit.input_spec import InputSpec

PHASES = ("load", "normalise", "run", "specify")
"""The steps of the check."""


def check_model(
    request: dict[str, Any], report: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    """Checks a submission; writes its normalised graph and, if there can be one, a specification.

    Args:
        request: ``graph``, ``samples``, ``normalised`` and ``specification`` are paths, the last
            two to be written; ``labels`` are the classes' labels; ``inputs`` what
            `InputSpec.to_json` wrote.
        report: Takes ``{"phase", "done", "total"}``.

    Returns:
        ``model`` with ``inputs``, ``sample_accuracy``, ``sample_count``, ``parameters``, ``macs``,
        ``unit_group_count`` and ``feature_width``; ``specification`` as `specified` says.

    Raises:
        GraphError: The graph cannot be loaded or sliced.
        SubmissionError: Inputs or samples do not fit the graph.
        SlicingError: The model does not fit its labels, is at chance, or has nothing to slice.
    """
    report(_step(0))
    model = load_model(Path(request["graph"]).read_bytes())
    report(_step(1))
    normalised = normalise(model)
    inputs = complete_inputs(normalised, [InputSpec.from_json(spec) for spec in request["inputs"]])
    samples = read_samples(Path(request["samples"]), inputs)
    report(_step(2))
    found = check_submission(normalised, samples, request["labels"])
    Path(request["normalised"]).write_bytes(to_bytes(normalised))
    price = cost(normalised)
    report(_step(3))
    path = Path(request["specification"])
    return {
        "model": {
            "inputs": [spec.to_json() for spec in inputs],
            "sample_accuracy": found.accuracy,
            "sample_count": len(samples),
            "parameters": price.parameters,
            "macs": price.macs,
            "unit_group_count": found.groups,
            "feature_width": found.feature_width,
        },
        "specification": specified(samples, inputs, request["labels"], found.scores, path),
    }


def _step(done: int) -> dict[str, Any]:
    return {"phase": PHASES[done], "done": done, "total": len(PHASES)}
