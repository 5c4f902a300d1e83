"""The options of a pack that is to be made, its head left out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import typer
from sliceandpack.packer.v1 import packs_pb2 as pb

from marketctl.evaluation import Evaluation, SamplesFile

_SIZE = "Size"


class Precision(StrEnum):
    """In what a pack computes."""

    FP32 = "fp32"
    FP16 = "fp16"
    BF16 = "bf16"
    INT8 = "int8"


@dataclass(frozen=True)
class MakingOptions:
    """What is asked of a pack beside its fragments and its head."""

    precision: Annotated[
        Precision | None,
        typer.Option(
            help="fp32 if left out; fp16 is for GPUs, bf16 halves the file, int8 is smaller and "
            "faster."
        ),
    ] = None
    uint8_pictures: Annotated[
        bool,
        typer.Option(
            "--uint8-pictures",
            help="Take pictures in whole numbers from 0 to 255: a quarter of the bytes to send.",
        ),
    ] = False
    none_of_these: Annotated[
        bool,
        typer.Option(
            "--none-of-these",
            help="A second output: how likely an input belongs to no class of the pack.",
        ),
    ] = False
    evaluation: Annotated[
        Evaluation | None,
        typer.Option(
            help="How its error is judged without evaluation samples: head-alone if left out; "
            "sliced-anew slices every class five times over, from four fifths of the samples.",
        ),
    ] = None
    evaluation_samples: SamplesFile = None
    budget_params: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Slice the classes anew, together, to this share of their models' parameters, "
            "above 0, at most 1.",
            rich_help_panel=_SIZE,
        ),
    ] = None
    budget_macs: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="The same for the MACs.",
            rich_help_panel=_SIZE,
        ),
    ] = None
    budget_latency_ms: Annotated[
        float | None,
        typer.Option(
            metavar="MS",
            help="The same for the milliseconds of one sample on one thread; a pack that the "
            "packer measures to take over a tenth longer is made anew, smaller.",
            rich_help_panel=_SIZE,
        ),
    ] = None
    validate_only: Annotated[
        bool, typer.Option("--validate-only", help="Check the request, keep nothing.")
    ] = False

    def options(self) -> pb.PackOptions:
        """Returns what is asked but for evaluation samples, which are to be sent.

        What is left out, the packer fills in.

        Raises:
            typer.BadParameter: It is to be judged in two ways, or more than one budget is given.
        """
        if self.evaluation is not None and self.evaluation_samples is not None:
            raise typer.BadParameter(
                "evaluation samples leave no other choice", param_hint="--evaluation"
            )
        options = pb.PackOptions(budget=self._budget(), none_of_these=self.none_of_these)
        if self.precision is not None:
            options.precision = pb.Precision.Value(f"PRECISION_{self.precision.name}")
        if self.uint8_pictures:
            options.picture_form = pb.PICTURE_FORM_UINT8
        if self.evaluation is not None:
            options.evaluation = pb.EvaluationKind.Value(f"EVALUATION_KIND_{self.evaluation.name}")
        return options

    def _budget(self) -> pb.PackBudget | None:
        sizes = {
            "parameters": self.budget_params,
            "macs": self.budget_macs,
            "latency_ms": self.budget_latency_ms,
        }
        given = {name: size for name, size in sizes.items() if size is not None}
        if len(given) > 1:
            raise typer.BadParameter("give one of the budgets")
        if not given:
            return None
        budget = pb.PackBudget()
        for name, size in given.items():
            setattr(budget, name, size)
        return budget
