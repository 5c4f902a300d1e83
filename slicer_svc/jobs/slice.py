"""Slices classes out of a model and hands over each fragment the moment it is done."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from onnxgraph.serialise import to_bytes
from slicer_svc.jobs.checked_model import CheckedModel
from slicer_svc.slicing.errors import SlicingError, SlicingReason
from slicer_svc.slicing.fragments import SlicedClass, slice_classes, slice_jointly
from slicer_svc.slicing.plan import Plan


def slice_model(
    request: dict[str, Any], report: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    """Slices classes.

    Args:
        request: What `CheckedModel.read` reads; ``plan`` is a path; ``classes`` the indices of the
            classes; ``joint`` whether they are cut together; ``labels`` what the model calls all of
            its classes; ``folder`` where fragments are written.
        report: Takes ``{"progress": {...}}`` with the fields of `Progress`, and
            ``{"fragment": {...}}`` for every class, or for all of them together.

    Returns:
        Nothing more.

    Raises:
        SlicingError: The plan is of another model, a class is unknown, or GRAPH_NOT_FINITE.
    """
    checked = CheckedModel.read(request)
    plan = Plan.from_json(json.loads(Path(request["plan"]).read_text()))
    slice_checked(checked, plan, request, report)
    return {}


def slice_checked(
    checked: CheckedModel,
    plan: Plan,
    request: dict[str, Any],
    report: Callable[[dict[str, Any]], None],
) -> None:
    """Slices classes of a model by a plan.

    Args:
        checked: The model.
        plan: The plan.
        request: ``classes``, ``labels`` and ``folder``, as of `slice_model`.
        report: As of `slice_model`.

    Raises:
        SlicingError: See `slice_model`.
    """
    start = time.perf_counter()
    for sliced in _slices(request, checked, plan, report):
        _check_finite(sliced, request["labels"])
        # Every class is cut once, so the first tells fragments apart; all make too long a name.
        path = Path(request["folder"]) / f"{sliced.classes[0]}.onnx"
        path.write_bytes(to_bytes(sliced.model))
        seconds = time.perf_counter() - start
        report({"fragment": _describe(sliced, path, seconds)})
        start = time.perf_counter()


def _slices(
    request: dict[str, Any],
    checked: CheckedModel,
    plan: Plan,
    report: Callable[[dict[str, Any]], None],
) -> Iterator[SlicedClass]:
    cut = slice_jointly if request["joint"] else slice_classes
    return cut(
        checked.graph,
        checked.samples,
        plan,
        request["classes"],
        augment=checked.augmentation,
        report=lambda progress: report({"progress": asdict(progress)}),
    )


def _check_finite(sliced: SlicedClass, labels: Sequence[str]) -> None:
    # Fitted weights may leave the range of float32 where the model's own hardly stay in it.
    if not math.isfinite(sliced.feature_error + sliced.score_error):
        places = ", ".join(map(str, sliced.classes))
        names = ", ".join(labels[place] for place in sliced.classes)
        raise SlicingError(
            SlicingReason.GRAPH_NOT_FINITE,
            f"The fragment of {names!r} (class {places}) computes values that are not finite.",
            advice="Keep more units, or rescale the layers of the model.",
            metadata={"label": names, "class": places},
        )


def _describe(sliced: SlicedClass, path: Path, seconds: float) -> dict[str, Any]:
    return {
        "classes": list(sliced.classes),
        "path": str(path),
        "kept_units": {group: units.tolist() for group, units in sliced.kept.items()},
        "feature_width": sliced.feature_width,
        "parameters": sliced.cost.parameters,
        "macs": sliced.cost.macs,
        "feature_error": sliced.feature_error,
        "slice_seconds": seconds,
    }
