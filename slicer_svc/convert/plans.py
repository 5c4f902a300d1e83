"""Between `slicer.v1.Plan` and the slicing domain's plans."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from google.protobuf import json_format
from sliceandpack.slicer.v1 import models_pb2
from sliceandpack.slicer.v1 import plans_pb2 as pb

from slicer_svc.other_samples import OtherSamples
from slicer_svc.slicing.recipe import MAX_BLOCK, THRESHOLDS, Adaptation, Criterion, Method, Recipe
from slicer_svc.store.tables import PlanRow
from svckit.errors import FieldViolation

MAX_STEPS = 10_000
MAX_VIEWS = 64
MAX_SIZES = 256
"""Of one front."""

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
    pb.METHOD_THRESHOLD_PLAIN: Method.THRESHOLD_PLAIN,
}
_SIZES = {
    "beta": "beta",
    "budget_parameters": "budget_params",
    "budget_macs": "budget_macs",
    "budget_bytes": "budget_bytes",
    "budget_latency": "budget_latency",
    "budget_latency_ms": "budget_latency_ms",
}


def recipe_violations(recipe: pb.Recipe, field: str = "plan.recipe") -> Iterator[FieldViolation]:
    """Yields every broken rule of a recipe.

    Args:
        recipe: The recipe.
        field: Where it stands in the request.
    """
    for broken in _recipe_violations(recipe):
        yield FieldViolation(f"{field}.{broken.field}", broken.description)


def front_violations(request: models_pb2.PredictFrontRequest) -> Iterator[FieldViolation]:
    """Yields every broken rule of a request for a front."""
    yield from recipe_violations(request.recipe, "recipe")
    size = request.recipe.WhichOneof("size")
    if size in (None, "beta"):
        yield FieldViolation("recipe.size", "a front is one of budgets: give one")
        return
    if len(request.sizes) > MAX_SIZES:
        yield FieldViolation("sizes", f"at most {MAX_SIZES}")
    for place, value in enumerate(request.sizes):
        sized = pb.Recipe()
        setattr(sized, size, value)
        for broken in _size_violations(sized):
            yield FieldViolation(f"sizes[{place}]", broken.description)


def _recipe_violations(recipe: pb.Recipe) -> Iterator[FieldViolation]:
    yield from _size_violations(recipe)
    yield from _method_violations(recipe)
    if recipe.HasField("steps") and not 0 <= recipe.steps <= MAX_STEPS:
        yield FieldViolation("steps", f"0 to {MAX_STEPS}")
    if recipe.HasField("views") and not 1 <= recipe.views <= MAX_VIEWS:
        yield FieldViolation("views", f"1 to {MAX_VIEWS}")
    yield from _block_violations(recipe)
    if recipe.seed < 0:
        yield FieldViolation("seed", "it is at least 0")


def _block_violations(recipe: pb.Recipe) -> Iterator[FieldViolation]:
    if not recipe.HasField("block"):
        return
    if not 1 <= recipe.block <= MAX_BLOCK:
        yield FieldViolation("block", f"1 to {MAX_BLOCK}")
    if recipe.WhichOneof("size") in (None, "beta"):
        rule = "it takes a budget beside it; beta keeps its share to the unit"
        yield FieldViolation("block", rule)


def _size_violations(recipe: pb.Recipe) -> Iterator[FieldViolation]:
    size = recipe.WhichOneof("size")
    if size is None:
        return
    value = getattr(recipe, size)
    if size == "budget_latency_ms":
        if not math.isfinite(value) or value <= 0:
            yield FieldViolation(size, "it is above 0")
    elif not math.isfinite(value) or not 0 < value <= 1:
        yield FieldViolation(size, "it is above 0 and at most 1")
    if _METHODS.get(recipe.method) in THRESHOLDS and size != "beta":
        yield FieldViolation(size, "a threshold takes beta only")


def _method_violations(recipe: pb.Recipe) -> Iterator[FieldViolation]:
    method = _METHODS.get(recipe.method)
    if method is None:
        yield FieldViolation("method", "no such method")
    choices = (
        ("criterion", pb.Criterion, "CRITERION_SUBSET"),
        ("adaptation", pb.Adaptation, "ADAPTATION_REFIT"),
    )
    for field, kind, default in choices:
        number = getattr(recipe, field)
        if number not in kind.values():
            yield FieldViolation(field, f"no such {field}")
        elif number not in (0, kind.Value(default)) and method is not Method.CLOSED_FORM:
            yield FieldViolation(field, f"only closed_form takes another {field}")


def decode_recipe(recipe: pb.Recipe) -> Recipe:
    """Returns what a checked recipe says, with defaults where it is silent."""
    defaults = Recipe()
    size = recipe.WhichOneof("size")
    sizes = {} if size is None else {_SIZES[size]: getattr(recipe, size)}
    criterion = pb.Criterion.Name(recipe.criterion or pb.CRITERION_SUBSET)
    adaptation = pb.Adaptation.Name(recipe.adaptation or pb.ADAPTATION_REFIT)
    return Recipe(
        method=_METHODS[recipe.method],
        criterion=Criterion[criterion.removeprefix("CRITERION_")],
        adaptation=Adaptation[adaptation.removeprefix("ADAPTATION_")],
        **sizes,
        block=recipe.block if recipe.HasField("block") else None,
        predict_latency=recipe.predict_latency,
        steps=recipe.steps if recipe.HasField("steps") else defaults.steps,
        seed=recipe.seed,
        views=recipe.views if recipe.HasField("views") else defaults.views,
    )


def encode_recipe(recipe: Recipe) -> pb.Recipe:
    """Returns the message of a recipe, defaults filled in."""
    message = pb.Recipe(
        method=pb.Method.Value(f"METHOD_{recipe.method.name}"),
        criterion=pb.Criterion.Value(f"CRITERION_{recipe.criterion.name}"),
        adaptation=pb.Adaptation.Value(f"ADAPTATION_{recipe.adaptation.name}"),
        block=recipe.block,
        predict_latency=recipe.predict_latency,
        steps=recipe.steps,
        seed=recipe.seed,
        views=recipe.views,
    )
    given = {name: getattr(recipe, field) for name, field in _SIZES.items()}
    size = next((name for name in given if given[name] is not None), "beta")
    setattr(message, size, recipe.share if size == "beta" else given[size])
    return message


def encode_plan(row: PlanRow) -> pb.Plan:
    """Returns the message of a plan."""
    message = json_format.ParseDict(row.summary, pb.Plan())
    message.name = row.name
    json_format.ParseDict(row.recipe, message.recipe)
    message.document.name = f"artifacts/{row.document_digest}"
    message.document.size_bytes = row.document_size
    if row.other_samples is not None:
        message.other_samples.CopyFrom(_other_samples(row.other_samples))
    message.create_time.FromDatetime(row.create_time)
    return message


def _other_samples(kept: dict[str, Any]) -> pb.OtherSamples:
    others = OtherSamples.from_json(kept)
    message = pb.OtherSamples(models=others.models, sample_count=others.count)
    message.inputs.name = f"artifacts/{others.digest}"
    message.inputs.size_bytes = others.size_bytes
    return message


def recipe_json(recipe: Recipe, *, own_samples_only: bool) -> dict[str, Any]:
    """Returns a recipe as a row keeps it.

    Args:
        recipe: What a plan is to reach, and how.
        own_samples_only: Whether samples of other models are left aside.
    """
    message = encode_recipe(recipe)
    message.own_samples_only = own_samples_only
    return json_format.MessageToDict(message)


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
            grain=group["grain"],
            **{name: group[name] for name in _GROUP_FIGURES},
        )
        for group in document["groups"]
    ]
    parts = [pb.WholePart(nodes=part["nodes"], reason=part["reason"]) for part in document["whole"]]
    latency = document["latency"]
    return json_format.MessageToDict(
        pb.Plan(
            groups=groups,
            whole_parts=parts,
            latency=None if latency is None else pb.Latency(**latency),
            **totals,
        )
    )
