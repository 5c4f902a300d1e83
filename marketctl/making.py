"""The options of a pack that is to be made, its head left out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import typer
from sliceandpack.packer.v1 import packs_pb2 as pb

from marketctl.evaluation import Evaluation, SamplesFile


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
    evaluation: Annotated[
        Evaluation | None,
        typer.Option(
            help="How its error is judged without evaluation samples: head-alone if left out; "
            "sliced-anew slices every class five times over, from four fifths of the samples.",
        ),
    ] = None
    evaluation_samples: SamplesFile = None
    validate_only: Annotated[
        bool, typer.Option("--validate-only", help="Check the request, keep nothing.")
    ] = False

    def options(self) -> pb.PackOptions:
        """Returns what is asked but for evaluation samples, which are to be sent.

        What is left out, the packer fills in.

        Raises:
            typer.BadParameter: It is to be judged in two ways.
        """
        if self.evaluation is not None and self.evaluation_samples is not None:
            raise typer.BadParameter(
                "evaluation samples leave no other choice", param_hint="--evaluation"
            )
        options = pb.PackOptions()
        if self.precision is not None:
            options.precision = pb.Precision.Value(f"PRECISION_{self.precision.name}")
        if self.uint8_pictures:
            options.picture_form = pb.PICTURE_FORM_UINT8
        if self.evaluation is not None:
            options.evaluation = pb.EvaluationKind.Value(f"EVALUATION_KIND_{self.evaluation.name}")
        return options
