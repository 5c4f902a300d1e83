"""How a pack's branches are laid out, and what the choice rests on."""

from collections.abc import Mapping, Sequence
from typing import Any

from packer_svc.report.figures import NOTHING, milliseconds
from packer_svc.report.markup import code, escaped, paragraph
from packer_svc.report.tables import Column, Kind, table

SHOWN = 12


def layout(found: Mapping[str, Any] | None) -> str:
    """The layout chosen, with the times of all that were tried."""
    if not found:
        return ""
    chosen = str(found["chosen"])
    told = paragraph(
        f"Chosen by measurement: <strong>{escaped(chosen.replace('_', ' '))}</strong>."
    )
    return told + _plans(found.get("run_times") or {}, chosen) + _layers(found.get("layers") or ())


def _plans(times: Mapping[str, Mapping[str, float]], chosen: str) -> str:
    columns = (
        Column("Layout"),
        Column("Batch of 1", Kind.NUMBER),
        Column("Batch of 8", Kind.NUMBER),
        Column("Chosen"),
    )
    rows = [
        (
            escaped(name.replace("_", " ")),
            milliseconds(time["single_seconds"]),
            milliseconds(time["batch_seconds"]),
            "✓ chosen" if name == chosen else NOTHING,
        )
        for name, time in times.items()
    ]
    return table("The whole pack, in layouts that compute the same", columns, rows)


def _layers(layers: Sequence[Mapping[str, Any]]) -> str:
    """Layers of several branches that are alike, each group by itself."""
    names = list(dict.fromkeys(name for one in layers for name in one["seconds"]))
    columns = (
        Column("First of the layers"),
        Column("Layers", Kind.NUMBER),
        *(Column(str(name).replace("_", " "), Kind.NUMBER) for name in names),
        Column("Chosen"),
    )
    rows = [
        (
            code(one["first"]),
            f"{one['members']:,}",
            *(milliseconds(one["seconds"].get(name)) for name in names),
            escaped(str(one["layout"]).replace("_", " ")),
        )
        for one in layers
    ]
    return table("Groups of layers that are alike, batch of 8", columns, rows, most=SHOWN)
