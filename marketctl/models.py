"""``marketctl models``: submit, look at, plan, slice and delete models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from sliceandpack.artifact.v1 import artifacts_pb2
from sliceandpack.error.v1 import error_reason_pb2 as reasons
from sliceandpack.slicer.v1 import fragments_pb2, models_pb2, plans_pb2

from marketctl.columns import Column, count, last, moment, share
from marketctl.command import command
from marketctl.completion import model_names
from marketctl.fragments import COLUMNS as FRAGMENT_COLUMNS
from marketctl.graph_file import graph_to_upload
from marketctl.inputs import input_text
from marketctl.names import condition, full_name, plan_name
from marketctl.plans import print_plan
from marketctl.progress import transfer_progress
from marketctl.recipe import RecipeOptions
from marketctl.session import Service, Session, pages
from marketctl.submission import ImageOptions, ModelOptions, OtherInputOptions, input_specs
from svckit.clients.artifacts import upload
from svckit.clients.patience import answer
from svckit.errors import InvalidArgument

app = typer.Typer(name="models", help="Submitted models.", no_args_is_help=True)

ModelName = Annotated[
    str, typer.Argument(metavar="MODEL", help="models/pets, or pets.", autocompletion=model_names)
]

COLUMNS = (
    Column("MODEL", lambda model: model.name),
    Column("CLASSES", lambda model: ", ".join(model.labels)),
    Column("ACCURACY", lambda model: share(model.sample_accuracy), right=True),
    Column("PARAMETERS", lambda model: count(model.parameters), right=True),
    Column("MACS", lambda model: count(model.macs), right=True),
    Column("LICENCE", lambda model: model.licence),
    Column("SUBMITTED", lambda model: moment(model.create_time)),
)


@command(app, "submit")
async def submit(
    session: Session,
    graph: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="An ONNX file.")],
    model: ModelOptions,
    image: ImageOptions,
    other: OtherInputOptions,
    validate_only: Annotated[
        bool, typer.Option("--validate-only", help="Check the request, keep nothing.")
    ] = False,
) -> None:
    """Submit a trained classifier with a few samples of each class."""
    labels, inputs = model.label_list(), input_specs(image, other)
    slicer = session.slicer
    request = models_pb2.CreateModelRequest(
        model_id=model.id or "",
        validate_only=validate_only,
        model=models_pb2.Model(
            display_name=model.display_name,
            licence=model.licence,
            labels=labels,
            inputs=inputs,
            graph=await _sent(session, slicer, graph.name, graph_to_upload(graph)),
            samples=await _sent(session, slicer, model.samples.name, model.samples),
        ),
    )
    title = f"Checking {model.id or graph.name}"
    call = session.models.CreateModel(request)
    created = await session.result(slicer, call, models_pb2.Model, title)
    if validate_only:
        session.printer.note(
            "The request is well-formed and nothing was kept; the graph and its samples are "
            "checked when they are submitted."
        )
    session.printer.one(created, _facts(created))


async def _sent(
    session: Session, service: Service, name: str, source: Path | bytes
) -> artifacts_pb2.Artifact:
    with transfer_progress(session.printer, f"Sending {name}") as on_progress:
        return await upload(service.channel, source, on_progress=on_progress)


@command(app, "list")
async def list_models(
    session: Session,
    label: Annotated[str | None, typer.Option(help="Only those with this class.")] = None,
    licence: Annotated[str | None, typer.Option(help="Only those with this licence.")] = None,
) -> None:
    """List the submitted models, newest first."""
    request = models_pb2.ListModelsRequest(filter=condition(label=label, licence=licence))
    found = await pages(session.models.ListModels, request, "models")
    session.printer.many(found, COLUMNS)


@command(app, "show")
async def show(session: Session, model: ModelName) -> None:
    """Show a model."""
    request = models_pb2.GetModelRequest(name=full_name("models", model))
    found = await answer(session.models.GetModel(request))
    session.printer.one(found, _facts(found))


@command(app, "delete")
async def delete(
    session: Session,
    model: ModelName,
    force: Annotated[
        bool,
        typer.Option("--force", help="Also while packs hold its fragments; they keep copies."),
    ] = False,
) -> None:
    """Delete a model with its plans and fragments."""
    name = full_name("models", model)
    await answer(session.models.DeleteModel(models_pb2.DeleteModelRequest(name=name, force=force)))
    session.printer.done(name, "deleted")


@command(app, "plan")
async def plan(session: Session, model: ModelName, recipe: RecipeOptions) -> None:
    """Plan what would be kept of a model, and what it saves."""
    print_plan(session, await _planned(session, full_name("models", model), recipe))


async def _planned(session: Session, model: str, recipe: RecipeOptions) -> plans_pb2.Plan:
    request = models_pb2.CreatePlanRequest(
        parent=model, plan=plans_pb2.Plan(recipe=recipe.recipe())
    )
    call = session.models.CreatePlan(request)
    return await session.result(session.slicer, call, plans_pb2.Plan, f"Planning {last(model)}")


@command(app, "slice")
async def slice_model(
    session: Session,
    model: ModelName,
    recipe: RecipeOptions,
    labels: Annotated[
        list[str] | None,
        typer.Option("--class", metavar="LABEL", help="A class to slice; all if left out."),
    ] = None,
    plan: Annotated[
        str | None, typer.Option(help="A plan to follow, in place of a recipe.")
    ] = None,
) -> None:
    """Slice classes out of a model: one fragment a class."""
    name = full_name("models", model)
    if plan is not None and recipe != RecipeOptions():
        raise typer.BadParameter("give either --plan or a recipe", param_hint="--plan")
    if plan is None:
        await _check_labels(session, name, labels or ())
    chosen = plan_name(name, plan) if plan else (await _planned(session, name, recipe)).name
    request = models_pb2.SliceModelRequest(name=name, plan=chosen, labels=labels or ())
    call = session.models.SliceModel(request)
    result = await session.result(
        session.slicer, call, models_pb2.SliceModelResponse, f"Slicing {last(name)}"
    )
    fragments: list[fragments_pb2.Fragment] = list(result.fragments)
    session.printer.many(fragments, FRAGMENT_COLUMNS)


async def _check_labels(session: Session, model: str, labels: Sequence[str]) -> None:
    """Refuses unknown labels before a plan is made that nobody would follow.

    Raises:
        InvalidArgument: CLASS_UNKNOWN.
    """
    found = await answer(session.models.GetModel(models_pb2.GetModelRequest(name=model)))
    for label in labels:
        if label not in found.labels:
            raise InvalidArgument(
                reasons.ERROR_REASON_CLASS_UNKNOWN,
                f"{model} has no class {label!r}.",
                advice=f"It has {', '.join(found.labels[:20])}; upper and lower case count.",
                metadata={"label": label},
            )


def _facts(model: models_pb2.Model) -> list[tuple[str, str]]:
    measured = model.sample_count > 0
    return [
        ("model", model.name),
        ("display name", model.display_name),
        ("classes", ", ".join(model.labels)),
        ("inputs", "; ".join(input_text(spec) for spec in model.inputs)),
        ("licence", model.licence),
        (
            "accuracy",
            f"{share(model.sample_accuracy)} of its {count(model.sample_count)} samples"
            if measured
            else "",
        ),
        ("parameters", count(model.parameters) if measured else ""),
        ("MACs", f"{count(model.macs)} per sample" if measured else ""),
        ("unit groups", count(model.unit_group_count) if measured else ""),
        ("feature width", count(model.feature_width) if measured else ""),
        ("graph", model.graph.name),
        ("samples", model.samples.name),
        ("submitted", moment(model.create_time)),
    ]
