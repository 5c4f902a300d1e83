"""``marketctl plans``: look at and delete plans; ``marketctl models plan`` makes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer
from sliceandpack.slicer.v1 import models_pb2, plans_pb2

from marketctl.columns import Column, count, moment, ratio, size, small
from marketctl.command import command
from marketctl.completion import model_names
from marketctl.names import full_name, nested_name
from marketctl.output import Section
from marketctl.session import Session, pages
from svckit.clients.patience import answer

app = typer.Typer(name="plans", help="Plans: what is kept of a model.", no_args_is_help=True)

PlanName = Annotated[
    str, typer.Argument(metavar="PLAN", help="models/pets/plans/p-1, or pets/p-1.")
]

COLUMNS = (
    Column("PLAN", lambda plan: plan.name),
    Column("RECIPE", lambda plan: recipe_text(plan.recipe), words=True),
    Column("PARAMETERS", lambda plan: ratio(plan.parameters_after, plan.parameters_before), True),
    Column("MACS", lambda plan: ratio(plan.macs_after, plan.macs_before), True, spare=True),
    Column("ERROR²", lambda plan: small(plan.predicted_error), True),
    Column("MADE", lambda plan: moment(plan.create_time), spare=True),
)
GROUP_COLUMNS = (
    Column("LAYER", lambda group: group.group),
    Column("UNITS", lambda group: count(group.unit_count), True),
    Column("KEPT", lambda group: count(group.kept_count), True),
    Column("PARAMETERS", lambda group: count(group.parameters_before), True, spare=True),
    Column("AFTER", lambda group: count(group.parameters_after), True),
    Column("MACS", lambda group: count(group.macs_before), True, spare=True),
    Column("AFTER", lambda group: count(group.macs_after), True, spare=True),
    Column("ERROR²", lambda group: small(group.predicted_error), True),
)
WHOLE_COLUMNS = (
    Column("NODES", lambda part: ", ".join(part.nodes), words=True),
    Column("WHY", lambda part: part.reason, words=True),
)


@command(app, "list")
async def list_plans(
    session: Session,
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="models/pets, or pets.", autocompletion=model_names),
    ],
) -> None:
    """List the plans of a model."""
    request = models_pb2.ListPlansRequest(parent=full_name("models", model))
    session.printer.many(await pages(session.models.ListPlans, request, "plans"), COLUMNS)


@command(app, "show")
async def show(session: Session, plan: PlanName) -> None:
    """Show a plan, layer by layer."""
    request = models_pb2.GetPlanRequest(name=nested_name("plans", plan))
    print_plan(session, await answer(session.models.GetPlan(request)))


@command(app, "delete")
async def delete(session: Session, plan: PlanName) -> None:
    """Delete a plan; fragments made from it stay."""
    name = nested_name("plans", plan)
    await answer(session.models.DeletePlan(models_pb2.DeletePlanRequest(name=name)))
    session.printer.done(name, "deleted")


def print_plan(session: Session, plan: plans_pb2.Plan) -> None:
    """Prints a plan: its figures, its layers, and what stays whole.

    Args:
        session: Where to print it.
        plan: The plan.
    """
    facts = [
        ("plan", plan.name),
        ("recipe", recipe_text(plan.recipe)),
        ("parameters", _change(plan.parameters_before, plan.parameters_after, count)),
        ("MACs", _change(plan.macs_before, plan.macs_after, count)),
        ("weights", _change(plan.bytes_before, plan.bytes_after, size)),
        ("time", time_text(plan)),
        ("blocks", _blocks(plan)),
        ("samples", samples_text(plan)),
        ("predicted error", f"{small(plan.predicted_error)}, relative and squared"),
    ]
    session.printer.one(
        plan,
        facts,
        Section("Layers", GROUP_COLUMNS, plan.groups),
        Section("Kept whole", WHOLE_COLUMNS, plan.whole_parts),
    )


def recipe_text(recipe: plans_pb2.Recipe) -> str:
    """Returns a recipe in a few words.

    Args:
        recipe: The recipe.
    """
    words = [plans_pb2.Method.Name(recipe.method).removeprefix("METHOD_").lower()]
    if recipe.criterion not in (plans_pb2.CRITERION_UNSPECIFIED, plans_pb2.CRITERION_SUBSET):
        name = plans_pb2.Criterion.Name(recipe.criterion)
        words.append(f"criterion {name.removeprefix('CRITERION_').lower()}")
    if recipe.adaptation not in (plans_pb2.ADAPTATION_UNSPECIFIED, plans_pb2.ADAPTATION_REFIT):
        name = plans_pb2.Adaptation.Name(recipe.adaptation)
        words.append(f"adaptation {name.removeprefix('ADAPTATION_').lower()}")
    chosen = recipe.WhichOneof("size")
    if chosen is not None:
        words.append(f"{chosen} {getattr(recipe, chosen):g}")
    if recipe.HasField("block"):
        words.append(f"blocks of {recipe.block}")
    if recipe.HasField("views"):
        words.append(f"{recipe.views} views")
    if recipe.own_samples_only:
        words.append("own samples only")
    return ", ".join([*words, f"seed {recipe.seed}"])


def time_text(plan: plans_pb2.Plan, *, brief: bool = False) -> str:
    """Returns how long a fragment takes; empty where the plan does not tell.

    Args:
        plan: The plan.
        brief: Whether only the fragment's own time is told.
    """
    if not plan.HasField("latency"):
        return ""
    time = plan.latency
    if brief:
        return f"{time.after_ms:.3g} ms"
    change = _change(time.before_ms, time.after_ms, lambda ms: f"{ms:.3g} ms")
    return f"{change} a sample, predicted for one thread of {time.machine}"


def _blocks(plan: plans_pb2.Plan) -> str:
    """Returns what counts of units are multiples of; empty where that is one unit."""
    grains = sorted({group.grain for group in plan.groups if group.grain > 1})
    return f"multiples of {' or '.join(map(str, grains))} units" if grains else ""


def samples_text(plan: plans_pb2.Plan) -> str:
    """Returns what samples planning and slicing read.

    Args:
        plan: The plan.
    """
    others = plan.other_samples
    if not others.sample_count:
        return "the model's own"
    models = f"{len(others.models)} other model{'s' if len(others.models) > 1 else ''}"
    return f"the model's own, and {count(others.sample_count)} of {models} without their labels"


def _change(before: float, after: float, text: Callable[[float], str]) -> str:
    return f"{text(before)} → {text(after)} ({ratio(after, before)})"
