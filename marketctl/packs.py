"""``marketctl packs``: join fragments, look at packs, change, download and delete them."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from google.longrunning.operations_pb2 import Operation
from sliceandpack.packer.v1 import packs_pb2 as pb

from marketctl.columns import Column, count, last, moment, ratio, share
from marketctl.command import command
from marketctl.completion import fragment_names, pack_names
from marketctl.download import DownloadOptions, fetch
from marketctl.evaluation import SamplesFile, acceptance_facts, error_text, sent_samples
from marketctl.head import HeadOptions
from marketctl.inputs import input_text
from marketctl.lineage import lineage_lines
from marketctl.lineage_picture import check_picture, lineage_svg
from marketctl.making import MakingOptions
from marketctl.names import condition, full_name, nested_name
from marketctl.output import Section
from marketctl.pack_size import size_facts
from marketctl.plain import plain
from marketctl.report import print_proof, refuse_missing, refuse_page, show_page
from marketctl.session import Session, pages
from svckit.artifacts.threads import in_thread
from svckit.clients.patience import answer

app = typer.Typer(name="packs", help="Fragments joined into one model.", no_args_is_help=True)

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
FRAGMENT_COLUMNS = (
    Column("FRAGMENT", lambda fragment: fragment.fragment),
    Column("CLASS", lambda fragment: fragment.label),
    Column("LICENCE", lambda fragment: fragment.licence),
)


class Part(StrEnum):
    """What belongs to a pack."""

    GRAPH = "graph"
    MANIFEST = "manifest"
    PROOF = "proof"
    SMOKE_TEST = "smoke_test"


_SUFFIXES = {
    Part.GRAPH: ".onnx",
    Part.MANIFEST: ".manifest.json",
    Part.PROOF: ".proof.json",
    Part.SMOKE_TEST: ".smoke-test.npz",
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
    """Download a pack's ONNX graph, its manifest, its proof or its smoke test."""
    found = await _get(session, pack)
    default = Path(last(found.name) + _SUFFIXES[part])
    await fetch(session, session.packer, getattr(found, part.value), to, default)


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


def print_pack(session: Session, pack: pb.Pack) -> None:
    """Prints a pack.

    Args:
        session: Says how to print.
        pack: The pack.
    """
    session.printer.one(pack, _facts(pack), Section("Fragments", FRAGMENT_COLUMNS, pack.fragments))


def _facts(pack: pb.Pack) -> list[tuple[str, str]]:
    proof = pack.proof_summary
    facts = [
        ("pack", pack.name),
        ("display name", pack.display_name),
        ("classes", ", ".join(pack.labels)),
        ("inputs", "; ".join(input_text(spec) for spec in pack.inputs)),
    ]
    if not pack.HasField("proof_summary"):
        return facts
    return [
        *facts,
        ("parameters", _against(pack.parameters, pack.ensemble_parameters)),
        ("MACs", _against(pack.macs, pack.ensemble_macs)),
        (
            "proof",
            f"differs from its parts by at most {proof.max_absolute_difference:.1e}, "
            f"same class on {share(proof.top1_agreement)}",
        ),
        ("precision", _precision(pack)),
        *size_facts(pack),
        ("accuracy", _accuracy(proof)),
        ("error", error_text(proof)),
        *acceptance_facts(pack),
        *_none_of_these(proof),
        ("graph", pack.graph.name),
        ("made", moment(pack.create_time)),
    ]


def _against(here: int, ensemble: int) -> str:
    return f"{count(here)}, {ratio(here, ensemble)} of the ensemble's {count(ensemble)}"


def _precision(pack: pb.Pack) -> str:
    proof, precision = pack.proof_summary, pack.options.precision or pb.PRECISION_FP32
    name = pb.Precision.Name(precision).removeprefix("PRECISION_").lower()
    if precision == pb.PRECISION_FP32:
        return name
    moved = f"moves probabilities by {proof.precision_divergence:.1e} nats"
    return f"{name}: {moved}, accuracy in fp32 {share(proof.in_sample_accuracy_fp32)}"


def _none_of_these(proof: pb.ProofSummary) -> list[tuple[str, str]]:
    if not proof.HasField("none_of_these_auc"):
        return []
    auc = f"area under the curve {proof.none_of_these_auc:.3f}, on classes left out"
    return [("none of these", auc)]


def _accuracy(proof: pb.ProofSummary) -> str:
    text = f"{share(proof.in_sample_accuracy)} on its own samples"
    if proof.cross_validated_accuracy < 0:
        return f"{text}; too few samples to cross-validate"
    return f"{text}, {share(proof.cross_validated_accuracy)} cross-validated (optimistic)"
