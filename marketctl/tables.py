"""Lays tables and facts out in the width that there is: no name and no figure is ever broken."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len

_GAP = "  "
# Narrower, a column of words is harder to read than a block a row.
_LEAST_WORDS = 24


@dataclass(frozen=True)
class Cells:
    """One column of a table, as text.

    Attributes:
        title: What stands above it.
        texts: What it says, row by row.
        right: Whether it is set flush right.
        words: Whether it may be broken between words.
        spare: Whether it may be left out where there is no room.
    """

    title: str
    texts: Sequence[str]
    right: bool = False
    words: bool = False
    spare: bool = False

    @property
    def width(self) -> int:
        """How wide it is without a break."""
        return max(map(cell_len, (self.title, *self.texts)))


Line = tuple[str, str]
"""A line: a title, which is to stand out, and what follows it."""


def table_lines(columns: Sequence[Cells], width: int | None) -> Iterator[Line]:
    """Yields the lines of a table, the titles first, none with spaces at its end.

    Where the table is too wide, what is spare is left out, from the right; then words are broken
    into lines; if that is not enough either, each row becomes a block of a line a column, with what
    is spare.

    Args:
        columns: The columns.
        width: How many cells a line may have; None for as many as it takes.
    """
    kept = list(columns)
    while width is not None and _width(kept) > width and any(cells.spare for cells in kept):
        kept.pop(max(place for place, cells in enumerate(kept) if cells.spare))
    excess = 0 if width is None else _width(kept) - width
    words = max((cells.width for cells in kept if cells.words), default=0)
    if excess <= 0:
        yield from _rows(kept, None)
    elif words - excess >= _LEAST_WORDS:
        yield from _rows(kept, words - excess)
    else:
        yield from _blocks(columns, width)


def fact_lines(facts: Sequence[tuple[str, str]], width: int | None) -> Iterator[Line]:
    """Yields lines of titles and what follows them; texts are broken between words alone.

    Args:
        facts: Titles with their texts.
        width: How many cells a line may have; None for as many as it takes.
    """
    indent = max((cell_len(title) for title, _ in facts), default=0) + len(_GAP)
    for title, text in facts:
        first, *others = _wrapped(text, None if width is None else width - indent)
        yield _padded(title, indent), first
        for line in others:
            yield "", " " * indent + line


def _width(columns: Sequence[Cells]) -> int:
    return sum(cells.width for cells in columns) + len(_GAP) * (len(columns) - 1)


def _rows(columns: Sequence[Cells], words: int | None) -> Iterator[Line]:
    """Yields the lines of a table whose columns of words are at most so wide."""
    limits = [min(cells.width, words) if cells.words and words else None for cells in columns]
    widths = [limit or cells.width for limit, cells in zip(limits, columns, strict=True)]
    right = [cells.right for cells in columns]
    titles = [cells.title for cells in columns]
    yield _GAP.join(map(_padded, titles, widths, right)).rstrip(), ""
    for row in zip(*(cells.texts for cells in columns), strict=True):
        parts = [_wrapped(text, limit) for text, limit in zip(row, limits, strict=True)]
        for place in range(max(map(len, parts))):
            line = [part[place] if place < len(part) else "" for part in parts]
            yield "", _GAP.join(map(_padded, line, widths, right)).rstrip()


def _blocks(columns: Sequence[Cells], width: int | None) -> Iterator[Line]:
    """Yields a block for each row, a line for each column that says something."""
    for row in range(len(columns[0].texts)):
        if row:
            yield "", ""
        facts = [(cells.title, cells.texts[row]) for cells in columns if cells.texts[row]]
        yield from fact_lines(facts, width)


def _wrapped(text: str, width: int | None) -> list[str]:
    if width is None or cell_len(text) <= width:
        return [text]
    return textwrap.wrap(text, max(width, 1), break_long_words=False, break_on_hyphens=False) or [
        text
    ]


def _padded(text: str, width: int, right: bool = False) -> str:
    space = " " * (width - cell_len(text))
    return space + text if right else text + space
