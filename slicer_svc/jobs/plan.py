"""Plans a model, with the curves of an earlier plan where there is one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from slicer_svc.jobs.checked_model import CheckedModel
from slicer_svc.slicing.plan import curve_from_json
from slicer_svc.slicing.planner import make_plan
from slicer_svc.slicing.recipe import Recipe


def plan_model(request: dict[str, Any], report: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Makes a plan and writes it.

    Args:
        request: ``normalised`` and ``samples`` are paths; ``inputs`` what `InputSpec.to_json`
            wrote; ``recipe`` what `Recipe.to_json` wrote; ``curves`` the path of kept curves or
            None; ``document`` the path of the plan, to be written; ``new_curves`` that of the
            curves, written where ``curves`` is None.
        report: Takes the fields of `Progress`.

    Returns:
        The plan as `Plan.to_json` writes it, without its curves.

    Raises:
        SlicingError: The budget cannot be reached.
    """
    checked = CheckedModel.read(request)
    kept = request["curves"]
    curves = None
    if kept is not None:
        curves = [curve_from_json(curve) for curve in json.loads(Path(kept).read_text())]
    plan = make_plan(
        checked.graph,
        checked.samples,
        Recipe.from_json(request["recipe"]),
        augment=checked.augmentation,
        curves=curves,
        report=lambda progress: report(asdict(progress)),
    )
    document = plan.to_json()
    Path(request["document"]).write_text(json.dumps(document, sort_keys=True))
    if kept is None:
        curves_json = json.dumps([asdict(curve) for curve in plan.curves], sort_keys=True)
        Path(request["new_curves"]).write_text(curves_json)
    return {key: value for key, value in document.items() if key != "curves"}
