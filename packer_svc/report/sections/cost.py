"""Size and speed: the pack against its originals, together and one by one."""

from collections.abc import Mapping, Sequence
from typing import Any

from packer_svc.report.figures import count, milliseconds, ratio, size
from packer_svc.report.markup import code, escaped, paragraph, section, subsection
from packer_svc.report.plots.strips import labels, ratio_strip
from packer_svc.report.sections.layout import layout
from packer_svc.report.tables import Column, Kind, table

SHOWN = 30
Cost = Mapping[str, Any]

_MEASURES = (
    ("Parameters", "parameters", count),
    ("MACs per sample", "macs", count),
    ("Bytes of the file", "bytes", size),
    ("Run time, batch of 1", "single_seconds", milliseconds),
    ("Run time, batch of 8", "batch_seconds", milliseconds),
)


def cost(proof: Mapping[str, Any], manifest: Mapping[str, Any]) -> str:
    """What the pack costs, beside what it replaces."""
    pack = {**proof["size"], **(proof.get("run_time") or {})}
    ensemble = proof.get("ensemble")
    originals = proof.get("originals") or []
    return section(
        "cost",
        "Size and speed",
        _against(pack, ensemble),
        subsection("Against each original", _each(pack, originals)),
        subsection("How its branches are laid out", layout(manifest.get("layout"))),
    )


def _against(pack: Cost, ensemble: Cost | None) -> str:
    if not ensemble:
        return _alone(pack)
    whole = {**ensemble, **(ensemble.get("run_time") or {})}
    known = [pack[key] / whole[key] for _, key, _ in _MEASURES if pack.get(key) and whole.get(key)]
    most = max([1.0, *known])
    axis = labels([(0, "0"), (100 / most, "1 = originals")])
    columns = (
        Column("Measure"),
        Column("This pack", Kind.NUMBER),
        Column("All originals together", Kind.NUMBER),
        Column("Ratio", Kind.NUMBER),
        Column("", Kind.PLOT, axis),
    )
    rows = [
        (
            title,
            written(pack.get(key)),
            written(whole.get(key)),
            ratio(pack.get(key), whole.get(key)),
            ratio_strip(pack[key] / whole[key] if pack.get(key) and whole.get(key) else None, most),
        )
        for title, key, written in _MEASURES
    ]
    told = "The originals together are all of them with one joint classifier of the pack’s classes"
    told += (
        "; their run time is the sum of each one’s."
        if ensemble.get("run_time")
        else "; their run time is not known, since not all of them could be timed."
    )
    return table("The pack against all its originals together", columns, rows) + paragraph(
        f"{told} A ratio is the pack over the originals. Bytes of the originals are four a "
        "parameter.",
        "note",
    )


def _alone(pack: Cost) -> str:
    columns = (Column("Measure"), Column("This pack", Kind.NUMBER))
    rows = [(title, written(pack.get(key))) for title, key, written in _MEASURES]
    return table("What the pack costs", columns, rows)


def _each(pack: Cost, originals: Sequence[Cost]) -> str:
    if not originals:
        return ""
    columns = (
        Column("Model"),
        *(Column(title, Kind.NUMBER) for title, _, _ in _MEASURES),
        Column("Pack ÷ model, batch of 8", Kind.NUMBER),
    )
    rows = [_original(pack, one) for one in originals]
    pack_row = ("<strong>This pack</strong>", *(f(pack.get(key)) for _, key, f in _MEASURES), "1")
    missing = [
        f"<li>{code(one['name'])}: {escaped(one['left_out'])}</li>"
        for one in originals
        if one.get("left_out")
    ]
    left_out = f"<p>Not timed:</p><ul>{''.join(missing)}</ul>" if missing else ""
    return table("Every original", columns, [pack_row, *rows], most=SHOWN) + left_out


def _original(pack: Cost, one: Cost) -> tuple[str, ...]:
    facts = {**one, **(one.get("run_time") or {})}
    return (
        code(one["name"]),
        *(written(facts.get(key)) for _, key, written in _MEASURES),
        ratio(pack.get("batch_seconds"), facts.get("batch_seconds")),
    )
