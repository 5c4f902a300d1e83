"""Tables: every figure that a plot shows stands in one."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from packer_svc.report.markup import Row, escaped, folded


class Kind(StrEnum):
    """What the cells of a column hold."""

    WORDS = "words"
    NUMBER = "number"
    PLOT = "plot"
    """A strip of a plot, whose figure stands in another column."""


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: What stands above it.
        kind: What its cells hold.
        above: HTML below the title, such as the axis of a plot.
    """

    title: str
    kind: Kind = Kind.WORDS
    above: str = ""


def table(caption: str, columns: Sequence[Column], rows: Sequence[Row], *, most: int = 0) -> str:
    """A table whose first column names the rows.

    Args:
        caption: What it shows.
        columns: Its columns.
        rows: Cells as HTML, one of each column.
        most: Rows that are shown at once; the others are folded away. 0 for all.
    """
    if not rows:
        return ""
    if not most or len(rows) <= most:
        return _table(caption, columns, rows)
    rest = f"{caption}: the other {len(rows) - most:,}"
    return _table(caption, columns, rows[:most]) + folded(
        f"The other {len(rows) - most:,}", _table(rest, columns, rows[most:])
    )


def _table(caption: str, columns: Sequence[Column], rows: Sequence[Row]) -> str:
    heads = "".join(_head(column) for column in columns)
    lines = "\n".join(f"<tr>{_cells(columns, row)}</tr>" for row in rows)
    return scrolling(
        caption,
        f"<table><caption><span>{escaped(caption)}</span></caption>\n"
        f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{lines}\n</tbody></table>",
    )


def scrolling(title: str, content: str) -> str:
    """Content that may be wider than the page; keys can scroll it."""
    return (
        f'<div class="wide" role="region" aria-label="{escaped(title)}" tabindex="0">'
        f"{content}</div>"
    )


def _head(column: Column) -> str:
    attributes = f'scope="col" class="{column.kind}"{_hidden(column)}'
    return f"<th {attributes}>{escaped(column.title)}{column.above}</th>"


def _cells(columns: Sequence[Column], row: Row) -> str:
    first, *rest = row
    cells = [f'<th scope="row" class="{columns[0].kind}">{first}</th>']
    for column, cell in zip(columns[1:], rest, strict=True):
        cells.append(f'<td class="{column.kind}"{_hidden(column)}>{cell}</td>')
    return "".join(cells)


def _hidden(column: Column) -> str:
    """Plots are for those who see; another column says the same in figures."""
    return ' aria-hidden="true"' if column.kind is Kind.PLOT else ""
