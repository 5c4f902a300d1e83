"""``order_by`` of lists, and where the page after a row begins."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, or_

from svckit.filters import MAX_FILTER_CHARACTERS, Column, invalid_filter
from svckit.paging import CursorValue


@dataclass(frozen=True)
class Ordering:
    """One column that a list is ordered by.

    Attributes:
        column: The column; it holds no NULL.
        descending: Whether the largest value comes first.
    """

    column: Column
    descending: bool

    @property
    def clause(self) -> ColumnElement[Any]:
        """The part of ORDER BY."""
        return self.column.desc() if self.descending else self.column.asc()

    def beyond(self, value: CursorValue) -> ColumnElement[bool]:
        """Returns the condition of coming later than a value."""
        return self.column < value if self.descending else self.column > value


def parse_order(text: str, columns: Mapping[str, Column], key: str) -> tuple[Ordering, ...]:
    """Returns the columns of an order, the unique one last where it was not named.

    Args:
        text: The order, such as ``create_time desc, name``.
        columns: The fields that may be named.
        key: The field among them whose values are unique, so that the order is total.

    Raises:
        InvalidArgument: FILTER_INVALID.
    """
    orderings = []
    named: set[str] = set()
    for part in text.split(",") if text.strip() else ():
        match part.split():
            case [field] if field in columns and field not in named:
                orderings.append(Ordering(columns[field], descending=False))
            case [field, "desc"] if field in columns and field not in named:
                orderings.append(Ordering(columns[field], descending=True))
            case _:
                raise invalid_filter(
                    text[:MAX_FILTER_CHARACTERS],
                    f"{part.strip()!r} is no order.",
                    f'Order by {", ".join(sorted(columns))}, each once, with or without " desc".',
                )
        named.add(field)
    if key not in named:
        orderings.append(Ordering(columns[key], descending=False))
    return tuple(orderings)


def after(orderings: Sequence[Ordering], cursor: Sequence[CursorValue]) -> ColumnElement[bool]:
    """Returns the condition of coming after a row, in the order given.

    Args:
        orderings: The columns of the order.
        cursor: The row's values of them.
    """
    pairs = list(zip(orderings, cursor, strict=True))
    alternatives = []
    for index, (ordering, value) in enumerate(pairs):
        ties = [tied.column == tied_value for tied, tied_value in pairs[:index]]
        alternatives.append(and_(*ties, ordering.beyond(value)))
    return or_(*alternatives)
