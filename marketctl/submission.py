"""The options of a submission, and the labels and inputs that they say."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from google.protobuf import json_format
from sliceandpack.slicer.v1 import input_spec_pb2, models_pb2

from svckit.artifacts.digests import digest_of

_PANEL = "What the inputs mean"


class Layout(StrEnum):
    """The order of a picture's axes."""

    NCHW = "nchw"
    NHWC = "nhwc"


@dataclass(frozen=True)
class ModelOptions:
    """What is submitted beside the graph."""

    samples: Annotated[
        Path,
        typer.Option(
            exists=True,
            dir_okay=False,
            metavar="NPZ",
            help="A few samples per class: one array per input of the graph, by its name, and "
            "`labels` (int64).",
        ),
    ]
    labels: Annotated[
        str | None,
        typer.Option(metavar="A,B,C", help="The classes in the order of the graph's outputs."),
    ] = None
    labels_file: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="The same as a text file, one a line."),
    ] = None
    id: Annotated[
        str | None, typer.Option("--id", help="The model's id; made by the slicer if left out.")
    ] = None
    display_name: Annotated[str, typer.Option(help="A name for people.")] = ""
    licence: Annotated[str, typer.Option(metavar="SPDX", help="Such as Apache-2.0.")] = ""

    def label_list(self) -> list[str]:
        """Returns the class labels.

        Raises:
            typer.BadParameter: None or two sources are given, or the file is no text.
        """
        if (self.labels is None) == (self.labels_file is None):
            raise typer.BadParameter("give either --labels or --labels-file", param_hint="--labels")
        if self.labels is not None:
            return [label.strip() for label in self.labels.split(",")]
        assert self.labels_file is not None
        try:
            lines = self.labels_file.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            raise typer.BadParameter("it is no UTF-8 text", param_hint="--labels-file") from None
        while lines and not lines[-1].strip():
            lines.pop()
        return [line.strip() for line in lines]


@dataclass(frozen=True)
class ImageOptions:
    """What the graph's pictures are like."""

    image: Annotated[
        list[str] | None,
        typer.Option(metavar="INPUT", help="An input that takes pictures.", rich_help_panel=_PANEL),
    ] = None
    layout: Annotated[Layout, typer.Option(help="Their axes.", rich_help_panel=_PANEL)] = (
        Layout.NCHW
    )
    range: Annotated[
        str,
        typer.Option(
            metavar="MIN,MAX",
            help="Their values before normalisation, such as 0,1 or 0,255.",
            rich_help_panel=_PANEL,
        ),
    ] = "0,1"
    mean: Annotated[
        str | None,
        typer.Option(
            metavar="M,…",
            help="Mean per channel: the graph is fed (value - mean) / std.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    std: Annotated[
        str | None,
        typer.Option(metavar="S,…", help="Standard deviation per channel.", rich_help_panel=_PANEL),
    ] = None
    flip: Annotated[
        bool,
        typer.Option(
            "--flip", help="A mirrored picture is of the same class.", rich_help_panel=_PANEL
        ),
    ] = False

    def semantics(self) -> input_spec_pb2.ImageSemantics:
        """Returns what the pictures mean.

        Raises:
            typer.BadParameter: A list of numbers is none.
        """
        bounds = _numbers(self.range, "--range")
        if len(bounds) != 2:
            raise typer.BadParameter("give two numbers, such as 0,255", param_hint="--range")
        layout = f"IMAGE_LAYOUT_{self.layout.name}"
        return input_spec_pb2.ImageSemantics(
            layout=input_spec_pb2.ImageLayout.Value(layout),
            value_range=input_spec_pb2.ValueRange(minimum=bounds[0], maximum=bounds[1]),
            mean=_numbers(self.mean, "--mean"),
            standard_deviation=_numbers(self.std, "--std"),
            flip_invariant=self.flip,
        )


@dataclass(frozen=True)
class OtherInputOptions:
    """What the graph's other inputs are like."""

    text: Annotated[
        str | None,
        typer.Option(metavar="INPUT", help="An input that takes tokens.", rich_help_panel=_PANEL),
    ] = None
    vocabulary: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="The vocabulary of --text, a token a line.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    padding_id: Annotated[
        int, typer.Option(help="The token that fills up short texts.", rich_help_panel=_PANEL)
    ] = 0
    inputs: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            metavar="FILE",
            help="All inputs as a JSON array of InputSpec, in place of the options above.",
            rich_help_panel=_PANEL,
        ),
    ] = None


def input_specs(image: ImageOptions, other: OtherInputOptions) -> list[input_spec_pb2.InputSpec]:
    """Returns what the options say of the graph's inputs.

    Args:
        image: Which are pictures, and what they are like.
        other: Which are texts, or all of them in a file.

    Raises:
        typer.BadParameter: The options contradict each other or cannot be read.
    """
    if other.inputs is not None:
        if image.image or other.text:
            raise typer.BadParameter("give --inputs alone", param_hint="--inputs")
        return _from_file(other.inputs)
    specs = [
        input_spec_pb2.InputSpec(name=name, image=image.semantics()) for name in image.image or ()
    ]
    if not image.image and image != ImageOptions():
        raise typer.BadParameter("say with --image which input takes pictures")
    if (other.text is None) != (other.vocabulary is None):
        raise typer.BadParameter("give --text and --vocabulary together", param_hint="--text")
    if other.text is not None and other.vocabulary is not None:
        data = other.vocabulary.read_bytes()
        text = input_spec_pb2.TextSemantics(
            vocabulary_digest=digest_of(data),
            vocabulary_size=len(data.splitlines()),
            padding_id=other.padding_id,
        )
        specs.append(input_spec_pb2.InputSpec(name=other.text, text=text))
    return specs


def _from_file(path: Path) -> list[input_spec_pb2.InputSpec]:
    try:
        model = json_format.ParseDict({"inputs": json.loads(path.read_bytes())}, models_pb2.Model())
    except (ValueError, json_format.ParseError) as error:
        raise typer.BadParameter(f"{path}: {error}", param_hint="--inputs") from None
    return list(model.inputs)


def _numbers(text: str | None, option: str) -> list[float]:
    if text is None:
        return []
    try:
        return [float(number) for number in text.split(",")]
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no list of numbers, such as 0.5,0.5", param_hint=option
        ) from None
