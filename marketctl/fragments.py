"""``marketctl fragments``: what is left of models, class by class."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from sliceandpack.slicer.v1 import fragments_pb2, models_pb2

from marketctl.columns import Column, count, duration, moment, small
from marketctl.command import command
from marketctl.completion import fragment_names, model_names
from marketctl.download import DownloadOptions, fetch
from marketctl.inputs import input_text
from marketctl.names import condition, full_name, nested_name, plan_name
from marketctl.output import Section
from marketctl.session import Session, pages
from svckit.clients.patience import answer

app = typer.Typer(name="fragments", help="What slicing made, a class each.", no_args_is_help=True)

FragmentName = Annotated[
    str,
    typer.Argument(
        metavar="FRAGMENT",
        help="models/pets/fragments/f-1, or pets/f-1.",
        autocompletion=fragment_names,
    ),
]

COLUMNS = (
    Column("FRAGMENT", lambda fragment: fragment.name),
    Column("CLASS", lambda fragment: fragment.label),
    Column("PARAMETERS", lambda fragment: count(fragment.parameters), True),
    Column("MACS", lambda fragment: count(fragment.macs), True, spare=True),
    Column("FEATURES", lambda fragment: count(fragment.feature_width), True, spare=True),
    Column("ERROR²", lambda fragment: small(fragment.feature_error), True),
    Column("MADE", lambda fragment: moment(fragment.create_time), spare=True),
)
KEPT_COLUMNS = (
    Column("LAYER", lambda kept: kept.group),
    Column("KEPT", lambda kept: count(len(kept.units)), True, spare=True),
    Column("UNITS", lambda kept: ", ".join(str(unit) for unit in kept.units), words=True),
)


@command(app, "list")
async def list_fragments(
    session: Session,
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="Of this model only; of all if left out.",
            show_default=False,
            autocompletion=model_names,
        ),
    ] = "-",
    label: Annotated[str | None, typer.Option(help="Only of this class.")] = None,
    plan: Annotated[str | None, typer.Option(help="Only those that follow this plan.")] = None,
) -> None:
    """List fragments, newest first."""
    parent = full_name("models", model)
    wanted = condition(label=label, plan=plan_name(parent, plan) if plan else None)
    request = models_pb2.ListFragmentsRequest(parent=parent, filter=wanted)
    found = await pages(session.models.ListFragments, request, "fragments")
    session.printer.many(found, COLUMNS)


@command(app, "show")
async def show(session: Session, fragment: FragmentName) -> None:
    """Show a fragment."""
    found = await _get(session, fragment)
    session.printer.one(found, _facts(found), Section("Kept units", KEPT_COLUMNS, found.kept_units))


@command(app, "download")
async def download(session: Session, fragment: FragmentName, to: DownloadOptions) -> None:
    """Download a fragment's ONNX graph."""
    found = await _get(session, fragment)
    default = Path(f"{found.name.split('/')[1]}-{found.name.rpartition('/')[2]}.onnx")
    await fetch(session, session.slicer, found.graph, to, default)


@command(app, "delete")
async def delete(session: Session, fragment: FragmentName) -> None:
    """Delete a fragment that no pack holds."""
    name = nested_name("fragments", fragment)
    await answer(session.models.DeleteFragment(models_pb2.DeleteFragmentRequest(name=name)))
    session.printer.done(name, "deleted")


async def _get(session: Session, fragment: str) -> fragments_pb2.Fragment:
    request = models_pb2.GetFragmentRequest(name=nested_name("fragments", fragment))
    return await answer(session.models.GetFragment(request))


def _facts(fragment: fragments_pb2.Fragment) -> list[tuple[str, str]]:
    return [
        ("fragment", fragment.name),
        ("class", fragment.label),
        ("cut together", ", ".join(fragment.joint_labels)),
        ("plan", fragment.plan),
        ("inputs", "; ".join(input_text(spec) for spec in fragment.inputs)),
        ("licence", fragment.licence),
        ("parameters", count(fragment.parameters)),
        ("MACs", f"{count(fragment.macs)} per sample"),
        ("feature width", count(fragment.feature_width)),
        ("feature error", f"{small(fragment.feature_error)}, relative and squared"),
        ("graph", fragment.graph.name),
        ("method", fragment.method_version),
        ("slicing took", duration(fragment.slice_seconds)),
        ("made", moment(fragment.create_time)),
    ]
