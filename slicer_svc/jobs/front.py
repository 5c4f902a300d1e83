"""Predicts what plans of several sizes would come to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from slicer_svc.jobs.measured import MeasuredModel
from slicer_svc.slicing.front import predict_front


def front_of_model(
    request: dict[str, Any], report: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    """Predicts a front.

    Args:
        request: What `MeasuredModel.of` takes; ``sizes`` are those of the plans.
        report: Takes the fields of `Progress`.

    Returns:
        ``points``, each with the fields of `FrontPoint`; and `MeasuredModel.kept`.
    """
    model = MeasuredModel.of(request, report)
    points = predict_front(model.network, model.found, model.recipe, request["sizes"])
    return {"points": [asdict(point) for point in points], **model.kept}
