"""A model as a person reads it."""

from __future__ import annotations

from typing import Annotated

import typer
from sliceandpack.slicer.v1 import models_pb2, specifications_pb2

from marketctl.columns import count, moment, share, small
from marketctl.completion import model_names
from marketctl.inputs import input_text

ModelName = Annotated[
    str, typer.Argument(metavar="MODEL", help="models/pets, or pets.", autocompletion=model_names)
]


def model_facts(model: models_pb2.Model) -> list[tuple[str, str]]:
    """Returns what is told of a model, each with its title.

    Args:
        model: The model.
    """
    measured = model.sample_count > 0
    return [
        ("model", model.name),
        ("display name", model.display_name),
        ("classes", ", ".join(model.labels)),
        ("inputs", "; ".join(input_text(spec) for spec in model.inputs)),
        ("licence", model.licence),
        (
            "accuracy",
            f"{share(model.sample_accuracy)} of its {count(model.sample_count)} samples"
            if measured
            else "",
        ),
        ("parameters", count(model.parameters) if measured else ""),
        ("MACs", f"{count(model.macs)} per sample" if measured else ""),
        ("unit groups", count(model.unit_group_count) if measured else ""),
        ("feature width", count(model.feature_width) if measured else ""),
        ("found by", _specification(model.specification) if measured else ""),
        ("graph", model.graph.name),
        ("samples", model.samples.name),
        ("submitted", moment(model.create_time)),
    ]


def _specification(found: specifications_pb2.Specification) -> str:
    """What searches find the model by, or why they do not find it."""
    if found.missing:
        return f"no search: {found.missing}"
    if not found.HasField("artifact"):
        return "no search yet: its specification is being made"
    return (
        f"{found.point_count} points ({found.space}), none nearer to a sample than "
        f"{small(found.nearest_distance)}"
    )
