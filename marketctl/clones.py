"""``marketctl packs clone``: classes of one model put into another one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import typer
from sliceandpack.packer.v1 import cloning_pb2 as pb
from sliceandpack.packer.v1 import packs_pb2

from marketctl.command import command
from marketctl.completion import model_names
from marketctl.evaluation import SamplesFile, sent_samples
from marketctl.names import full_name
from marketctl.pack_shown import print_pack
from marketctl.session import Session


class Locator(StrEnum):
    """How the part of the source is found."""

    FRAGMENTS = "fragments"
    MASKS = "masks"


@dataclass(frozen=True)
class CloneOptions:
    """How classes are cloned."""

    locator: Annotated[
        Locator | None,
        typer.Option(help="How the source's part is found; fragments, by the slicer, if left out."),
    ] = None
    budget_macs: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE", help="The part's share of the source's MACs, above 0; 0.5 if left out."
        ),
    ] = None
    position: Annotated[
        str | None,
        typer.Option(
            metavar="VALUE",
            help="The value of the target behind which the part stands, or inputs for all of the "
            "part; chosen by cross-validation if left out.",
        ),
    ] = None
    seed: Annotated[int | None, typer.Option(help="Of all that is random; 0.")] = None
    evaluation_samples: SamplesFile = None
    validate_only: Annotated[
        bool, typer.Option("--validate-only", help="Check the request, keep nothing.")
    ] = False

    def spec(self) -> pb.CloneSpec:
        """Returns how classes are cloned; what is left out, the packer fills in.

        Raises:
            typer.BadParameter: A budget of nothing, which would mean that it was left out.
        """
        if self.budget_macs is not None and not self.budget_macs > 0:
            raise typer.BadParameter("it is above 0", param_hint="--budget-macs")
        locator = pb.CLONE_LOCATOR_UNSPECIFIED
        if self.locator is not None:
            locator = pb.CloneLocator.Value(f"CLONE_LOCATOR_{self.locator.name}")
        return pb.CloneSpec(
            locator=locator,
            budget_macs=self.budget_macs or 0.0,
            position=self.position or "",
            seed=self.seed or 0,
        )


def add_to(app: typer.Typer) -> None:
    """Adds the command.

    Args:
        app: The application of packs.
    """
    command(app, "clone")(clone)


async def clone(
    session: Session,
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET",
            help="The model that is to learn classes: models/pets, or pets.",
            autocompletion=model_names,
        ),
    ],
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="The model that knows them.", autocompletion=model_names
        ),
    ],
    classes: Annotated[
        list[str],
        typer.Option(
            "--class",
            metavar="LABEL[=NAME]",
            help="A class to clone, and what the pack is to call it; once for each class.",
        ),
    ],
    options: CloneOptions,
    id: Annotated[  # noqa: A002 - the option's name.
        str | None, typer.Option("--id", help="The pack's id; made by the packer if left out.")
    ] = None,
) -> None:
    """Put classes of one model into another one, which stays as it is; the result is a pack.

    `packs remove` takes cloned classes out again; `packs download --part target` gives the target's
    file back, byte for byte.
    """
    request = pb.CloneClassesRequest(
        target=full_name("models", target),
        source=full_name("models", source),
        classes=cloned(classes),
        spec=options.spec(),
        pack_id=id or "",
        validate_only=options.validate_only,
    )
    if options.validate_only and options.evaluation_samples is not None:
        session.printer.warn("The evaluation samples were neither sent nor looked into.")
    elif not options.validate_only:
        request.evaluation_samples = await sent_samples(session, options.evaluation_samples)
    call = session.packs.CloneClasses(request)
    what = "a class" if len(classes) == 1 else f"{len(classes)} classes"
    title = f"Cloning {what} into {target}"
    print_pack(session, await session.result(session.packer, call, packs_pb2.Pack, title))


def cloned(texts: Sequence[str]) -> list[pb.ClonedClass]:
    """Returns the classes of ``LABEL`` or ``LABEL=NAME``.

    Raises:
        typer.BadParameter: A text names nothing.
    """
    found = []
    for text in texts:
        label, assigned, name = text.partition("=")
        if not label or (assigned and not name):
            raise typer.BadParameter(f"{text!r} is not LABEL or LABEL=NAME", param_hint="--class")
        found.append(pb.ClonedClass(label=label, pack_label=name))
    return found
