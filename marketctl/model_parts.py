"""Downloads of what belongs to a model."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from sliceandpack.error.v1 import error_reason_pb2 as reasons
from sliceandpack.slicer.v1 import models_pb2

from marketctl.columns import last
from marketctl.command import command
from marketctl.download import DownloadOptions, fetch
from marketctl.model_shown import ModelName
from marketctl.names import full_name
from marketctl.session import Session
from svckit.clients.patience import answer
from svckit.errors import FailedPrecondition


class ModelPart(StrEnum):
    """What belongs to a model."""

    GRAPH = "graph"
    SAMPLES = "samples"
    SPECIFICATION = "specification"


_SUFFIXES = {
    ModelPart.GRAPH: ".onnx",
    ModelPart.SAMPLES: ".npz",
    ModelPart.SPECIFICATION: ".spec",
}


def add_to(app: typer.Typer) -> None:
    """Adds the command.

    Args:
        app: ``marketctl models``.
    """
    command(app, "download")(download)


async def download(
    session: Session,
    model: ModelName,
    to: DownloadOptions,
    part: Annotated[ModelPart, typer.Option(help="What to download.")] = ModelPart.GRAPH,
) -> None:
    """Download a model's ONNX graph, its samples, or the specification that searches find it by."""
    request = models_pb2.GetModelRequest(name=full_name("models", model))
    found = await answer(session.models.GetModel(request))
    artifact = found.graph
    if part is ModelPart.SAMPLES:
        artifact = found.samples
    elif part is ModelPart.SPECIFICATION:
        _refuse_unspecified(found)
        artifact = found.specification.artifact
    await fetch(session, session.slicer, artifact, to, Path(last(found.name) + _SUFFIXES[part]))


def _refuse_unspecified(model: models_pb2.Model) -> None:
    """Refuses a model that has no specification.

    Raises:
        FailedPrecondition: It has none, or none yet.
    """
    if model.specification.HasField("artifact"):
        return
    why = model.specification.missing or "It is still being made."
    raise FailedPrecondition(
        reasons.ERROR_REASON_UNSPECIFIED,
        f"{model.name} has no specification. {why}",
        advice="Submit a model again with more samples, or try again soon after an upgrade.",
    )
