"""How a pack's branches are laid out, and what the choice rests on."""

from collections.abc import Mapping, Sequence
from typing import Any

from packer_svc.report.figures import NOTHING, milliseconds
from packer_svc.report.markup import code, escaped, paragraph
from packer_svc.report.tables import Column, Kind, table

SHOWN = 12
SINGLE = "1"
"""The batch at which all layers are timed."""


def layout(found: Mapping[str, Any] | None) -> str:
    """The layout chosen, what it loses at which batch, and the times of all that were tried."""
    if not found:
        return ""
    chosen = str(found["chosen"])
    told = f"Chosen by measurement: <strong>{escaped(chosen.replace('_', ' '))}</strong>."
    return (
        paragraph(told + _regret(found))
        + _plans(found.get("run_times") or {}, chosen)
        + _layers(found.get("layers") or ())
    )


def _regret(found: Mapping[str, Any]) -> str:
    """What the choice loses against the best for each batch."""
    regret: Mapping[str, float] = found.get("regret") or {}
    if not regret:
        return ""
    ratios = ", ".join(f"{ratio:.3f} at {batch}" for batch, ratio in regret.items())
    beyond = ", ".join(found["beyond_bound"])
    kept = f"More than {found['bound']} is lost at {beyond}." if beyond else ""
    return escaped(f" Run time over that of the best layout for each batch: {ratios}. {kept}")


def _plans(times: Mapping[str, Mapping[str, float]], chosen: str) -> str:
    batches = list(dict.fromkeys(batch for one in times.values() for batch in one))
    columns = (
        Column("Layout"),
        *(Column(f"Batch of {batch}", Kind.NUMBER) for batch in batches),
        Column("Chosen"),
    )
    rows = [
        (
            escaped(name.replace("_", " ")),
            *(milliseconds(one[batch]) for batch in batches),
            "✓ chosen" if name == chosen else NOTHING,
        )
        for name, one in times.items()
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
            *(milliseconds(one["seconds"].get(name, {}).get(SINGLE)) for name in names),
            escaped(str(one["layout"]).replace("_", " ")),
        )
        for one in layers
    ]
    return table("Groups of layers that are alike, batch of 1", columns, rows, most=SHOWN)
