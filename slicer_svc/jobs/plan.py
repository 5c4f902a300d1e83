"""Plans a model, with what was measured for earlier plans of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from slicer_svc.jobs.measured import MeasuredModel
from slicer_svc.slicing.planner import plan_measured


def plan_model(request: dict[str, Any], report: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Makes a plan and writes it.

    Args:
        request: What `MeasuredModel.of` takes; ``document`` is the path of the plan, to be written.
        report: Takes the fields of `Progress`.

    Returns:
        ``plan`` as `Plan.to_json` writes it, without its curves; and `MeasuredModel.kept`.

    Raises:
        SlicingError: The budget cannot be reached.
    """
    model = MeasuredModel.of(request, report)
    document = plan_measured(model.network, model.samples, model.recipe, model.found).to_json()
    Path(request["document"]).write_text(json.dumps(document, sort_keys=True))
    plan = {key: value for key, value in document.items() if key != "curves"}
    return {"plan": plan, **model.kept}
