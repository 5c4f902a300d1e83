"""``marketctl search``: from a few samples to the models that know them, and to a served pack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from sliceandpack.error.v1 import error_reason_pb2 as reasons
from sliceandpack.slicer.v1 import search_pb2 as pb

from marketctl.command import command
from marketctl.found import CLASS_COLUMNS, MODEL_COLUMNS, lacking, rows_of
from marketctl.found_pack import deploy_pack, pack_found, refuse_taken
from marketctl.names import condition
from marketctl.plain import plain
from marketctl.session import Session
from marketctl.submission import ImageOptions, OtherInputOptions
from marketctl.task import (
    SAMPLES_HELP,
    LabelsOption,
    SampleMeaning,
    read_specification,
    specify_samples,
)
from svckit.artifacts.threads import in_thread
from svckit.clients.artifacts import upload
from svckit.clients.patience import answer
from svckit.errors import NotFound
from svckit.names import id_violations

if TYPE_CHECKING:
    from specification.model import Specification

# Larger ones are uploaded: a message has at most 4 MiB.
_INLINE_BYTES: Final = 2 * 2**20

_GOING_ON: Final = "Go on with what was found"


@dataclass(frozen=True)
class TaskOptions:
    """What is looked for."""

    samples: Annotated[
        Path | None, typer.Option(exists=True, metavar="DIR|NPZ", help=SAMPLES_HELP)
    ] = None
    specification: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            metavar="FILE",
            help="What `marketctl specify` wrote of samples, in place of these.",
        ),
    ] = None
    models: Annotated[
        bool,
        typer.Option("--models", help="Look for models for all classes, not for each its own."),
    ] = False
    licence: Annotated[
        str | None, typer.Option(metavar="SPDX", help="Only models with this licence.")
    ] = None
    limit: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=100,
            help="How many to show, at most: 1 for each class, or 10 models, if left out.",
        ),
    ] = None


@dataclass(frozen=True)
class ServingOptions:
    """What becomes of what was found."""

    pack: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Slice the classes found and join them into a pack, its outputs called as the "
            "classes of the samples.",
            rich_help_panel=_GOING_ON,
        ),
    ] = None
    deploy: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Serve the pack under a name.", rich_help_panel=_GOING_ON
        ),
    ] = None


def add_to(app: typer.Typer) -> None:
    """Adds the command.

    Args:
        app: The application.
    """
    command(app, "search")(search)


async def search(
    session: Session,
    task: TaskOptions,
    serving: ServingOptions,
    image: ImageOptions,
    other: OtherInputOptions,
    labels: LabelsOption = None,
) -> None:
    """Find who knows the classes of some samples; with --pack and --deploy serve what was found.

    No sample leaves this machine: their specification is made here, and that alone is sent. Where
    nothing fits, that is said, nothing is made, and the exit code is 3.
    """
    _check(task, serving)
    meaning = SampleMeaning(image, other, labels)
    if task.samples is not None:
        found = await specify_samples(session, task.samples, meaning)
    else:
        assert task.specification is not None
        found = await in_thread(read_specification, task.specification)
    if serving.pack is not None:
        _check_classes(found.labels)
        await _serve(session, await _message(session, found), task, serving)
    elif task.models or not found.labels:
        await _models(session, await _message(session, found), task)
    else:
        await _classes(session, await _message(session, found), task)


def _check(task: TaskOptions, serving: ServingOptions) -> None:
    """Refuses options that contradict each other.

    Raises:
        typer.BadParameter: They do.
    """
    if (task.samples is None) == (task.specification is None):
        raise typer.BadParameter("give either --samples or --specification", param_hint="--samples")
    if serving.deploy is not None and serving.pack is None:
        raise typer.BadParameter("what is served is a pack: give --pack", param_hint="--deploy")
    if serving.pack is not None and task.models:
        raise typer.BadParameter("a pack is made of classes: leave --models out")
    for option, name, kind in (
        ("--pack", serving.pack, "packs"),
        ("--deploy", serving.deploy, "deployments"),
    ):
        wrong = () if name is None else id_violations(name.removeprefix(f"{kind}/"), option)
        for violation in wrong:
            raise typer.BadParameter(violation.description, param_hint=option)


def _check_classes(labels: Sequence[str]) -> None:
    """Refuses a pack of too few classes, before any is looked for.

    Raises:
        typer.BadParameter: There are none, or one.
    """
    if not labels:
        raise typer.BadParameter(
            "the samples have no classes: give a folder for each", param_hint="--pack"
        )
    if len(labels) == 1:
        raise typer.BadParameter(
            f"a pack tells classes apart: give samples of another one beside {labels[0]!r}",
            param_hint="--pack",
        )


async def _message(session: Session, found: Specification) -> pb.Task:
    """Returns the task as it is sent."""
    from specification.codec import to_bytes

    data = to_bytes(found)
    if len(data) <= _INLINE_BYTES:
        return pb.Task(specification=data)
    return pb.Task(stored_specification=await upload(session.slicer.channel, data))


async def _models(session: Session, task: pb.Task, options: TaskOptions) -> None:
    request = pb.SearchModelsRequest(
        task=task, limit=options.limit or 0, filter=condition(licence=options.licence)
    )
    found = await answer(session.search.SearchModels(request))
    if not session.printer.is_table:
        session.printer.data(plain(found))
    elif found.models:
        session.printer.table(MODEL_COLUMNS, found.models)
    if not found.fits:
        raise _nothing(found, [])


async def _classes(session: Session, task: pb.Task, options: TaskOptions) -> None:
    found = await _ask_classes(session, task, options)
    if not session.printer.is_table:
        session.printer.data(plain(found))
    else:
        session.printer.table(CLASS_COLUMNS, rows_of(found))
    missing = lacking(found)
    if len(missing) == len(found.classes):
        raise _nothing(found, missing)
    if missing:
        session.printer.warn(f"Nothing fits {', '.join(missing)}.")


async def _ask_classes(
    session: Session, task: pb.Task, options: TaskOptions
) -> pb.SearchClassesResponse:
    request = pb.SearchClassesRequest(
        task=task, limit=options.limit or 1, filter=condition(licence=options.licence)
    )
    return await answer(session.search.SearchClasses(request))


async def _serve(
    session: Session, task: pb.Task, options: TaskOptions, serving: ServingOptions
) -> None:
    """Searches, packs and deploys.

    Raises:
        NotFound: NOTHING_FITS some class; then nothing is made.
        ServiceError: A step failed.
    """
    assert serving.pack is not None
    found = await _ask_classes(session, task, options)
    if session.printer.is_table:
        session.printer.table(CLASS_COLUMNS, rows_of(found))
    missing = lacking(found)
    if missing:
        if not session.printer.is_table:
            session.printer.data({"found": plain(found)})
        raise _nothing(found, missing)
    await refuse_taken(session, serving.pack, serving.deploy)
    pack = await pack_found(session, found, serving.pack, serving.deploy)
    deployment = None
    if serving.deploy is not None:
        deployment = await deploy_pack(session, pack, serving.deploy)
    if not session.printer.is_table:
        made = {"pack": plain(pack)} | ({"deployment": plain(deployment)} if deployment else {})
        session.printer.data({"found": plain(found), **made})


def _nothing(
    found: pb.SearchModelsResponse | pb.SearchClassesResponse, labels: list[str]
) -> NotFound:
    advice = (
        "Give more samples of each class, or see what comes nearest with --limit 5: `marketctl "
        "models slice` and `marketctl packs create` take what you choose."
    )
    if not found.compared_count:
        advice = (
            "Give samples of what models of the market take (`marketctl models show MODEL`), or "
            "submit one: `marketctl models submit`."
        )
    return NotFound(
        reasons.ERROR_REASON_NOTHING_FITS,
        f"{found.reason[:1].upper()}{found.reason[1:].rstrip('.')}.",
        advice=advice,
        metadata={"labels": ",".join(labels)},
    )
