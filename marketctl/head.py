"""The options of a pack's head."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import typer
from sliceandpack.packer.v1 import packs_pb2 as pb


class HeadKind(StrEnum):
    """The family of a pack's head."""

    CLOSED_FORM = "closed_form"
    PAPER = "paper"


@dataclass(frozen=True)
class HeadOptions:
    """How a pack's head is made."""

    head: Annotated[
        HeadKind | None, typer.Option(help="closed_form if left out.", rich_help_panel="Head")
    ] = None
    encoder_width: Annotated[
        int | None,
        typer.Option(
            help="Of the paper's head, at least 1; chosen if left out.", rich_help_panel="Head"
        ),
    ] = None
    delta: Annotated[
        float | None,
        typer.Option(help="Weight of its reconstruction, at least 0.", rich_help_panel="Head"),
    ] = None
    steps: Annotated[
        int | None, typer.Option(help="Its gradient steps, 0 to 100000.", rich_help_panel="Head")
    ] = None
    seed: Annotated[
        int | None, typer.Option(help="Of all that is random; 0.", rich_help_panel="Head")
    ] = None

    def spec(self) -> pb.HeadSpec:
        """Returns how the head is made; what is left out, the packer fills in."""
        spec = pb.HeadSpec(
            encoder_width=self.encoder_width or 0,
            delta=self.delta,
            steps=self.steps,
            seed=self.seed or 0,
        )
        if self.head is not None:
            spec.kind = pb.HeadKind.Value(f"HEAD_KIND_{self.head.name}")
        return spec
