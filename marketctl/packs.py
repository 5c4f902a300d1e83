"""``marketctl packs``: join fragments, look at packs, change, download and delete them."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from google.longrunning.operations_pb2 import Operation
from sliceandpack.packer.v1 import packs_pb2 as pb

from marketctl import clones
from marketctl.columns import Column, count, last, moment, ratio
from marketctl.command import command
from marketctl.completion import fragment_names, pack_names
from marketctl.download import DownloadOptions, fetch
from marketctl.evaluation import SamplesFile, sent_samples
from marketctl.head import HeadOptions
from marketctl.lineage import lineage_lines
from marketctl.lineage_picture import check_picture, lineage_svg
from marketctl.making import MakingOptions
from marketctl.names import condition, full_name, nested_name
from marketctl.pack_shown import print_pack
from marketctl.plain import plain
from marketctl.report import print_proof, refuse_missing, refuse_page, show_page
from marketctl.session import Session, pages
from svckit.artifacts.threads import in_thread
from svckit.clients.patience import answer

app = typer.Typer(name="packs", help="Fragments joined into one model.", no_args_is_help=True)
clones.add_to(app)

PackName = Annotated[
    str, typer.Argument(metavar="PACK", help="packs/p, or p.", autocompletion=pack_names)
]
FragmentNames = Annotated[
    list[str],
    typer.Argument(
        metavar="FRAGMENT…",
        help="models/pets/fragments/f-1, or pets/f-1.",
        autocompletion=fragment_names,
    ),
]
Labels = Annotated[
    list[str] | None,
    typer.Option(
        "--label",
        metavar="FRAGMENT=LABEL",
        help="The output that a fragment stands for; its own class if left out.",
    ),
]
NewId = Annotated[
    str | None, typer.Option("--id", help="The new pack's id; made by the packer if left out.")
]

COLUMNS = (
    Column("PACK", lambda pack: pack.name),
    Column("CLASSES", lambda pack: ", ".join(pack.labels), words=True),
    Column("PARAMETERS", lambda pack: count(pack.parameters), True),
    Column(
        "OF ENSEMBLE",
        lambda pack: ratio(pack.parameters, pack.ensemble_parameters),
        True,
        spare=True,
    ),
    Column("MACS", lambda pack: count(pack.macs), True, spare=True),
    Column("MADE", lambda pack: moment(pack.create_time), spare=True),
)


class Part(StrEnum):
    """What belongs to a pack."""

    GRAPH = "graph"
    MANIFEST = "manifest"
    PROOF = "proof"
    SMOKE_TEST = "smoke_test"
    TARGET = "target"


_SUFFIXES = {
    Part.GRAPH: ".onnx",
    Part.MANIFEST: ".manifest.json",
    Part.PROOF: ".proof.json",
    Part.SMOKE_TEST: ".smoke-test.npz",
    Part.TARGET: ".target.onnx",
}


@command(app, "create")
async def create(
    session: Session,
    fragments: FragmentNames,
    head: HeadOptions,
    making: MakingOptions,
    labels: Labels = None,
    id: NewId = None,  # noqa: A002 - the option's name.
) -> None:
    """Join fragments into a pack, and prove that it computes what they compute."""
    pack = pb.Pack(
        fragments=labelled(fragments, labels or ()), head=head.spec(), options=making.options()
    )
    if making.validate_only and making.evaluation_samples is not None:
        session.printer.warn("The evaluation samples were neither sent nor looked into.")
    elif not making.validate_only:
        samples = await sent_samples(session, making.evaluation_samples)
        pack.options.evaluation_samples = samples
    request = pb.CreatePackRequest(pack_id=id or "", validate_only=making.validate_only, pack=pack)
    call = session.packs.CreatePack(request)
    await _made(session, call, f"Packing {id or f'{len(fragments)} fragments'}")


@command(app, "add")
async def add(
    session: Session,
    pack: PackName,
    fragments: FragmentNames,
    labels: Labels = None,
    evaluation_samples: SamplesFile = None,
    id: NewId = None,  # noqa: A002 - the option's name.
) -> None:
    """Make a new pack of a pack's fragments and further ones."""
    name = full_name("packs", pack)
    request = pb.AddClassesRequest(
        name=name,
        fragments=labelled(fragments, labels or ()),
        pack_id=id or "",
        evaluation_samples=await sent_samples(session, evaluation_samples),
    )
    await _made(session, session.packs.AddClasses(request), f"Adding to {last(name)}")


@command(app, "remove")
async def remove(
    session: Session,
    pack: PackName,
    labels: Annotated[
        list[str], typer.Argument(metavar="LABEL…", help="The classes to leave out.")
    ],
    evaluation_samples: SamplesFile = None,
    id: NewId = None,  # noqa: A002 - the option's name.
) -> None:
    """Make a new pack of a pack's fragments without some classes."""
    name = full_name("packs", pack)
    request = pb.RemoveClassesRequest(
        name=name,
        labels=labels,
        pack_id=id or "",
        evaluation_samples=await sent_samples(session, evaluation_samples),
    )
    await _made(session, session.packs.RemoveClasses(request), f"Removing from {last(name)}")


async def _made(session: Session, call: Awaitable[Operation], title: str) -> None:
    pack = await session.result(session.packer, call, pb.Pack, title)
    print_pack(session, pack)


@command(app, "list")
async def list_packs(
    session: Session,
    label: Annotated[str | None, typer.Option(help="Only those with this class.")] = None,
) -> None:
    """List packs, newest first."""
    request = pb.ListPacksRequest(filter=condition(label=label))
    session.printer.many(await pages(session.packs.ListPacks, request, "packs"), COLUMNS)


@command(app, "show")
async def show(session: Session, pack: PackName) -> None:
    """Show a pack, and what was measured before it was kept."""
    print_pack(session, await _get(session, pack))


@command(app, "lineage")
async def lineage(
    session: Session,
    pack: PackName,
    picture: Annotated[
        Path | None,
        typer.Option(metavar="FILE.svg", help="Draw it too, in place of what the file held."),
    ] = None,
) -> None:
    """Tell what a pack was made of: fragments, models, artifacts, licences."""
    if picture is not None:
        check_picture(picture)
    request = pb.GetLineageRequest(name=full_name("packs", pack))
    found = await answer(session.packs.GetLineage(request))
    if picture is not None:
        drawn = lineage_svg(found, await _get(session, pack))
        await in_thread(lambda: picture.write_text(drawn, encoding="utf-8"))
        session.printer.note(f"The lineage is drawn in {picture}.")
    if not session.printer.is_table:
        session.printer.data(plain(found))
        return
    for line in lineage_lines(found, await _get(session, pack)):
        session.printer.line(line)


@command(app, "download")
async def download(
    session: Session,
    pack: PackName,
    to: DownloadOptions,
    part: Annotated[Part, typer.Option(help="What to download.")] = Part.GRAPH,
) -> None:
    """Download a pack's ONNX graph, its manifest, its proof or its smoke test.

    Of a clone, target is the file of the model that classes were cloned into, as it was submitted.
    """
    found = await _get(session, pack)
    if part is Part.TARGET and not found.HasField("clone"):
        raise typer.BadParameter(f"{found.name} is no clone", param_hint="--part")
    artifact = found.clone.target_graph if part is Part.TARGET else getattr(found, part.value)
    default = Path(last(found.name) + _SUFFIXES[part])
    await fetch(session, session.packer, artifact, to, default)


@command(app, "report")
async def report(
    session: Session,
    pack: PackName,
    to: DownloadOptions,
    open: Annotated[  # noqa: A002 - the option's name.
        bool, typer.Option("--open", help="Show it in the browser.")
    ] = False,
) -> None:
    """Write a pack's proof as one HTML page; with -o json print the proof instead."""
    if not session.printer.is_table:
        refuse_page(to, show=open)
        await print_proof(session, await _get(session, pack))
        return
    found = await _get(session, pack)
    refuse_missing(found)
    default = Path(last(found.name) + ".html")
    path = await fetch(session, session.packer, found.report, to, default)
    if open:
        show_page(session, path)


@command(app, "delete")
async def delete(session: Session, pack: PackName) -> None:
    """Delete a pack that no deployment points to."""
    name = full_name("packs", pack)
    await answer(session.packs.DeletePack(pb.DeletePackRequest(name=name)))
    session.printer.done(name, "deleted")


async def _get(session: Session, pack: str) -> pb.Pack:
    return await answer(session.packs.GetPack(pb.GetPackRequest(name=full_name("packs", pack))))


def labelled(fragments: Sequence[str], labels: Sequence[str]) -> list[pb.PackFragment]:
    """Returns fragments with the labels that they are to stand for.

    Args:
        fragments: Their names, short or full.
        labels: ``FRAGMENT=LABEL``, of some of them.

    Raises:
        typer.BadParameter: A label is for no fragment of the list, or for none at all, or a
            fragment has two.
    """
    names = [nested_name("fragments", fragment) for fragment in fragments]
    chosen: dict[str, str] = {}
    for text in labels:
        fragment, assigned, label = text.partition("=")
        name = nested_name("fragments", fragment)
        if not assigned or not label:
            raise typer.BadParameter(f"{text!r} is not FRAGMENT=LABEL", param_hint="--label")
        if name not in names:
            raise typer.BadParameter(
                f"{fragment!r} is none of the fragments to pack", param_hint="--label"
            )
        if chosen.setdefault(name, label) != label:
            raise typer.BadParameter(
                f"{fragment!r} is given two: {chosen[name]!r} and {label!r}", param_hint="--label"
            )
    return [pb.PackFragment(fragment=name, label=chosen.get(name, "")) for name in names]
