"""What a search found, as a person reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sliceandpack.slicer.v1 import search_pb2 as pb

from marketctl.columns import Column

NOTHING: Final = "–"


@dataclass(frozen=True)
class Row:
    """A line of the table of classes.

    Attributes:
        label: What the task calls the class; empty below its first line.
        found: What was found for it; None for nothing.
    """

    label: str
    found: pb.FoundClass | None


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _classes(model: pb.FoundModel) -> str:
    return ", ".join(f"{one.label}: {one.model_label}" for one in model.classes)


CLASS_COLUMNS = (
    Column("CLASS", lambda row: row.label),
    Column("MODEL", lambda row: row.found.model if row.found else NOTHING),
    Column("KNOWS IT AS", lambda row: row.found.model_label if row.found else NOTHING),
    Column("SCORE", lambda row: f"{row.found.score:.3f}" if row.found else NOTHING, right=True),
    Column("FITS", lambda row: _yes(row.found.fits) if row.found else _yes(False)),
    Column("REASON", lambda row: row.found.reason if row.found else "", words=True),
    Column("LICENCE", lambda row: row.found.licence if row.found else "", spare=True),
)
MODEL_COLUMNS = (
    Column("MODEL", lambda model: model.model),
    Column("SCORE", lambda model: f"{model.score:.3f}", right=True),
    Column("FITS", lambda model: _yes(model.fits)),
    Column("CLASSES", _classes, words=True, spare=True),
    Column("REASON", lambda model: model.reason, words=True),
    Column("LICENCE", lambda model: model.licence, spare=True),
)


def rows_of(found: pb.SearchClassesResponse) -> list[Row]:
    """Returns the lines of a table: for each class the one that was chosen, then the others.

    Args:
        found: What the slicer answered.
    """
    rows = []
    for one in found.classes:
        rows.append(Row(one.label, one.found[0] if one.found else None))
        rows += [Row("", other) for other in one.found[1:]]
    return rows


def lacking(found: pb.SearchClassesResponse) -> list[str]:
    """Returns the classes of a task for which nothing fits.

    Args:
        found: What the slicer answered.
    """
    return [one.label for one in found.classes if not (one.found and one.found[0].fits)]
