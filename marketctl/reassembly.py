"""``marketctl packs reassemble``: a new network of several models' blocks, within a budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer
from sliceandpack.packer.v1 import packs_pb2, reassembly_pb2

from marketctl.columns import Column, count
from marketctl.command import command
from marketctl.completion import model_names
from marketctl.names import full_name
from marketctl.output import Section
from marketctl.pack_shown import pack_facts
from marketctl.packs import NewId, app
from marketctl.session import Session

_SIZE = "Size"
BLOCK_COLUMNS = (
    Column("MODEL", lambda block: block.model),
    Column("FROM", lambda block: block.first_value, spare=True),
    Column("TO", lambda block: block.last_value, spare=True),
    Column("PARAMETERS", lambda block: count(block.parameters), True),
    Column("STITCH", lambda block: count(block.stitch_parameters), True),
    Column("LICENCE", lambda block: block.licence),
)


@dataclass(frozen=True)
class SizeOptions:
    """How large the network may be; all that is given holds."""

    budget_params: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="At most this share of the parameters of the classes' models, above 0.",
            rich_help_panel=_SIZE,
        ),
    ] = None
    budget_macs: Annotated[
        float | None,
        typer.Option(metavar="SHARE", help="The same for the MACs.", rich_help_panel=_SIZE),
    ] = None
    budget_latency_ms: Annotated[
        float | None,
        typer.Option(
            metavar="MS",
            help="At most so many milliseconds for one sample on one thread of the packer.",
            rich_help_panel=_SIZE,
        ),
    ] = None

    def budget(self) -> reassembly_pb2.ReassemblyBudget | None:
        """Returns what was given; None for nothing."""
        found = reassembly_pb2.ReassemblyBudget(
            parameters=self.budget_params,
            macs=self.budget_macs,
            latency_ms=self.budget_latency_ms,
        )
        return found if found.ListFields() else None


@dataclass(frozen=True)
class NetworkOptions:
    """What the network is made of."""

    models: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="MODEL",
            help="Take blocks from this model; repeat it for several. Every model of the market "
            "that is fed alike if left out.",
            autocompletion=model_names,
        ),
    ] = None
    blocks: Annotated[
        int | None, typer.Option(min=2, max=8, help="How many blocks it has; 4 if left out.")
    ] = None
    training_steps: Annotated[
        int | None,
        typer.Option(min=0, max=10_000, help="Train the stitches in so many steps; 0 if left out."),
    ] = None
    seed: Annotated[int | None, typer.Option(help="Of all that is random; 0.")] = None
    validate_only: Annotated[
        bool, typer.Option("--validate-only", help="Check the request, keep nothing.")
    ] = False


@command(app, "reassemble")
async def reassemble(
    session: Session,
    classes: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL/CLASS…", help="pets/cat, or pets/cat=tomcat for another label."
        ),
    ],
    network: NetworkOptions,
    size: SizeOptions,
    id: NewId = None,  # noqa: A002 - the option's name.
) -> None:
    """Make a pack of one new network: blocks of several models, stitched together."""
    request = reassembly_pb2.ReassembleModelRequest(
        classes=[wanted(text) for text in classes],
        models=[full_name("models", name) for name in network.models or ()],
        budget=size.budget(),
        blocks=network.blocks or 0,
        training_steps=network.training_steps or 0,
        seed=network.seed or 0,
        pack_id=id or "",
        validate_only=network.validate_only,
    )
    call = session.packs.ReassembleModel(request)
    title = f"Reassembling {id or f'a network for {len(classes)} classes'}"
    pack = await session.result(session.packer, call, packs_pb2.Pack, title)
    session.printer.one(
        pack,
        pack_facts(pack),
        Section("Blocks", BLOCK_COLUMNS, pack.reassembly.blocks),
    )


def wanted(text: str) -> reassembly_pb2.WantedClass:
    """Returns a class of a model with the label that it is to have.

    Args:
        text: ``MODEL/CLASS`` or ``MODEL/CLASS=LABEL``; the model by its full name or its last part.

    Raises:
        typer.BadParameter: It is neither.
    """
    model, separator, label = text.removeprefix("models/").partition("/")
    label, assigned, output = label.partition("=")
    if not (model and separator and label) or (assigned and not output):
        raise typer.BadParameter(f"{text!r} is not MODEL/CLASS or MODEL/CLASS=LABEL")
    return reassembly_pb2.WantedClass(model=f"models/{model}", label=label, output=output)
