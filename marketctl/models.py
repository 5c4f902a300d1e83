"""``marketctl models``: submit, look at, plan, slice and delete models."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from sliceandpack.artifact.v1 import artifacts_pb2
from sliceandpack.error.v1 import error_reason_pb2 as reasons
from sliceandpack.slicer.v1 import fragments_pb2, models_pb2

from marketctl import model_parts
from marketctl.columns import Column, count, last, moment, share
from marketctl.command import command
from marketctl.fragments import COLUMNS as FRAGMENT_COLUMNS
from marketctl.fronts import check_drawable
from marketctl.graph_file import graph_to_upload
from marketctl.model_shown import ModelName, model_facts
from marketctl.names import condition, full_name, plan_name
from marketctl.planning import planned, print_front
from marketctl.plans import print_plan
from marketctl.progress import transfer_progress
from marketctl.recipe import RecipeOptions
from marketctl.session import Session, pages
from marketctl.submission import ImageOptions, ModelOptions, OtherInputOptions, input_specs
from svckit.artifacts.digests import artifact_name, digest_of
from svckit.artifacts.threads import in_thread
from svckit.clients.artifacts import upload
from svckit.clients.patience import answer
from svckit.errors import AlreadyExists, InvalidArgument, NotFound

app = typer.Typer(name="models", help="Submitted models.", no_args_is_help=True)

COLUMNS = (
    Column("MODEL", lambda model: model.name),
    Column("CLASSES", lambda model: ", ".join(model.labels), words=True),
    Column("ACCURACY", lambda model: share(model.sample_accuracy), right=True),
    Column("PARAMETERS", lambda model: count(model.parameters), right=True, spare=True),
    Column("MACS", lambda model: count(model.macs), right=True, spare=True),
    Column("LICENCE", lambda model: model.licence, spare=True),
    Column("SUBMITTED", lambda model: moment(model.create_time), spare=True),
)


@command(app, "submit")
async def submit(
    session: Session,
    graph: Annotated[
        Path,
        typer.Argument(metavar="GRAPH", exists=True, dir_okay=False, help="An ONNX file."),
    ],
    model: ModelOptions,
    image: ImageOptions,
    other: OtherInputOptions,
    validate_only: Annotated[
        bool,
        typer.Option(
            "--validate-only",
            help="Check the form of the request only; files are not sent, nor looked into.",
        ),
    ] = False,
) -> None:
    """Submit a trained classifier with a few samples of each class."""
    labels, inputs = model.label_list(), input_specs(image, other)
    send = _named if validate_only else _sent
    request = models_pb2.CreateModelRequest(
        model_id=model.id or "",
        validate_only=validate_only,
        model=models_pb2.Model(
            display_name=model.display_name,
            licence=model.licence,
            labels=labels,
            inputs=inputs,
            graph=await send(session, graph.name, graph_to_upload(graph)),
            samples=await send(session, model.samples.name, model.samples),
        ),
    )
    if validate_only:
        created = await _validated(session, request)
        session.printer.warn(
            "Only the form of the request was checked: graph and samples were neither sent nor "
            "looked into."
        )
    else:
        title = f"Checking {model.id or graph.name}"
        call = session.models.CreateModel(request)
        created = await session.result(session.slicer, call, models_pb2.Model, title)
    session.printer.one(created, model_facts(created))


async def _sent(session: Session, name: str, source: Path | bytes) -> artifacts_pb2.Artifact:
    with transfer_progress(session.printer, f"Sending {name}") as on_progress:
        return await upload(session.slicer.channel, source, on_progress=on_progress)


async def _named(_session: Session, _name: str, source: Path | bytes) -> artifacts_pb2.Artifact:
    """Returns what a file would be called in the slicer, without sending it."""
    data = await in_thread(source.read_bytes) if isinstance(source, Path) else source
    return artifacts_pb2.Artifact(name=artifact_name(digest_of(data)), size_bytes=len(data))


async def _validated(session: Session, request: models_pb2.CreateModelRequest) -> models_pb2.Model:
    """Asks the slicer about the form of a request whose files it need not have.

    Raises:
        AlreadyExists: The id is taken.
        ServiceError: The request is refused.
    """
    if request.model_id:
        await _refuse_taken(session, f"models/{request.model_id}")
    try:
        title = "Checking the request"
        call = session.models.CreateModel(request)
        return await session.result(session.slicer, call, models_pb2.Model, title)
    except NotFound as error:
        # It looks for the files last, and they were not sent.
        files = (request.model.graph.name, request.model.samples.name)
        if error.metadata.get("resource") not in files:
            raise
        return request.model


async def _refuse_taken(session: Session, model: str) -> None:
    """Refuses the name of a model that is there.

    Raises:
        AlreadyExists: RESOURCE_EXISTS.
    """
    try:
        await answer(session.models.GetModel(models_pb2.GetModelRequest(name=model)))
    except NotFound:
        return
    raise AlreadyExists(
        reasons.ERROR_REASON_RESOURCE_EXISTS,
        f"{model} exists already.",
        advice="Give another id.",
        metadata={"resource": model},
    )


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
    session.printer.one(found, model_facts(found))


model_parts.add_to(app)


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
async def plan(
    session: Session,
    model: ModelName,
    recipe: RecipeOptions,
    front: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.png",
            help="Draw predicted error against cost, for several values of a budget.",
        ),
    ] = None,
) -> None:
    """Plan what would be kept of a model, and what it saves.

    A budget may have several values (0.1,0.25,0.5): a plan is made for each.
    """
    name, recipes = full_name("models", model), recipe.recipes()
    if front is not None:
        check_drawable(front, recipes)
    if len(recipes) > 1:
        await print_front(session, name, recipes, front)
        return
    print_plan(session, await planned(session, name, recipes[0]))


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
    joint: Annotated[
        bool,
        typer.Option("--joint", help="Cut the classes together: a pack computes them once."),
    ] = False,
) -> None:
    """Slice classes out of a model: one fragment a class."""
    name = full_name("models", model)
    if plan is not None and recipe != RecipeOptions():
        raise typer.BadParameter("give either --plan or a recipe", param_hint="--plan")
    wanted = recipe.recipe()
    if plan is not None:
        chosen = plan_name(name, plan)
    else:
        await _check_labels(session, name, labels or ())
        later = _slice_later(name, labels or (), joint=joint)
        chosen = (await planned(session, name, wanted, later)).name
    request = models_pb2.SliceModelRequest(name=name, plan=chosen, labels=labels or (), joint=joint)
    call = session.models.SliceModel(request)
    result = await session.result(
        session.slicer, call, models_pb2.SliceModelResponse, f"Slicing {last(name)}"
    )
    fragments: list[fragments_pb2.Fragment] = list(result.fragments)
    session.printer.many(fragments, FRAGMENT_COLUMNS)


def _slice_later(model: str, labels: Sequence[str], *, joint: bool) -> str:
    """Returns what to do when the wait for the plan ended before slicing could begin."""
    classes = "".join(f" --class {shlex.quote(label)}" for label in labels)
    classes += " --joint" if joint else ""
    return (
        "Slicing has not begun. Once the plan is made (see `marketctl plans list "
        f"{last(model)}`), run: marketctl models slice {last(model)} --plan PLAN{classes}"
    )


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
