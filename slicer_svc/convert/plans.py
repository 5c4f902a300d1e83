"""Between `slicer.v1.Plan` and the slicing domain's plans."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from google.protobuf import json_format
from sliceandpack.slicer.v1 import plans_pb2 as pb

from slicer_svc.slicing.recipe import Method, Recipe
from slicer_svc.store.tables import PlanRow
from svckit.errors import FieldViolation

MAX_STEPS = 10_000
MAX_VIEWS = 64

_GROUP_FIGURES = (
    "parameters_before",
    "parameters_after",
    "macs_before",
    "macs_after",
    "predicted_error",
)
_TOTALS = (*_GROUP_FIGURES, "bytes_before", "bytes_after")
_METHODS = {
    pb.METHOD_UNSPECIFIED: Method.CLOSED_FORM,
    pb.METHOD_CLOSED_FORM: Method.CLOSED_FORM,
    pb.METHOD_RATE: Method.RATE,
    pb.METHOD_THRESHOLD: Method.THRESHOLD,
}


def recipe_violations(recipe: pb.Recipe) -> Iterator[FieldViolation]:
    """Yields every broken rule of a recipe."""
    size = recipe.WhichOneof("size")
    if size is not None:
        value = getattr(recipe, size)
        if not math.isfinite(value) or not 0 < value <= 1:
            yield FieldViolation(f"plan.recipe.{size}", "it is above 0 and at most 1")
        if recipe.method == pb.METHOD_THRESHOLD and size != "beta":
            yield FieldViolation(f"plan.recipe.{size}", "a threshold takes beta only")
    if recipe.method not in _METHODS:
        yield FieldViolation("plan.recipe.method", "no such method")
    if recipe.HasField("steps") and not 0 <= recipe.steps <= MAX_STEPS:
        yield FieldViolation("plan.recipe.steps", f"0 to {MAX_STEPS}")
    if recipe.HasField("views") and not 1 <= recipe.views <= MAX_VIEWS:
        yield FieldViolation("plan.recipe.views", f"1 to {MAX_VIEWS}")
    if recipe.seed < 0:
        yield FieldViolation("plan.recipe.seed", "it is at least 0")


def decode_recipe(recipe: pb.Recipe) -> Recipe:
    """Returns what a checked recipe says, with defaults where it is silent."""
    defaults = Recipe()
    sizes = {"beta": None, "budget_parameters": None, "budget_macs": None}
    size = recipe.WhichOneof("size")
    if size is not None:
        sizes[size] = getattr(recipe, size)
    return Recipe(
        method=_METHODS[recipe.method],
        beta=sizes["beta"],
        budget_params=sizes["budget_parameters"],
        budget_macs=sizes["budget_macs"],
        steps=recipe.steps if recipe.HasField("steps") else defaults.steps,
        seed=recipe.seed,
        views=recipe.views if recipe.HasField("views") else defaults.views,
    )


def encode_recipe(recipe: Recipe) -> pb.Recipe:
    """Returns the message of a recipe, defaults filled in."""
    message = pb.Recipe(steps=recipe.steps, seed=recipe.seed, views=recipe.views)
    message.method = pb.Method.Value(f"METHOD_{recipe.method.name}")
    if recipe.budget_params is not None:
        message.budget_parameters = recipe.budget_params
    elif recipe.budget_macs is not None:
        message.budget_macs = recipe.budget_macs
    else:
        message.beta = recipe.share
    return message


def encode_plan(row: PlanRow) -> pb.Plan:
    """Returns the message of a plan."""
    message = json_format.ParseDict(row.summary, pb.Plan())
    message.name = row.name
    json_format.ParseDict(row.recipe, message.recipe)
    message.document.name = f"artifacts/{row.document_digest}"
    message.document.size_bytes = row.document_size
    message.create_time.FromDatetime(row.create_time)
    return message


def recipe_json(recipe: Recipe) -> dict[str, Any]:
    """Returns a recipe as a row keeps it."""
    return json_format.MessageToDict(encode_recipe(recipe))


def summary_json(document: dict[str, Any]) -> dict[str, Any]:
    """Returns what a plan says as a row keeps it.

    Args:
        document: The plan as the slicing domain's `Plan.to_json` writes it.
    """
    totals = {name: document[name] for name in _TOTALS}
    groups = [
        pb.GroupPlan(
            group=group["group"],
            nodes=group["nodes"],
            unit_count=group["units"],
            kept_count=group["kept"],
            **{name: group[name] for name in _GROUP_FIGURES},
        )
        for group in document["groups"]
    ]
    parts = [pb.WholePart(nodes=part["nodes"], reason=part["reason"]) for part in document["whole"]]
    return json_format.MessageToDict(pb.Plan(groups=groups, whole_parts=parts, **totals))
