"""List methods over SQL: filter, order and pages that stay right while rows come and go."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Generic, Protocol, Self, TypeVar

from google.protobuf.message import Message
from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession

from svckit.filters import Column, Condition, conditions
from svckit.ordering import after, parse_order
from svckit.paging import PageTokens, page_size

PAGE_BYTES: Final = 2 * 2**20
"""The size of a page, in bytes: what would make it larger waits for the next one."""

T = TypeVar("T")
M = TypeVar("M", bound=Message)


@dataclass(frozen=True)
class Listing:
    """What a list method offers.

    Attributes:
        filters: The fields that a filter may name (see `svckit.filters.equals`).
        orders: The fields that an order may name; their columns hold no NULL.
        default_order: The order where the client gives none, such as ``create_time desc``.
        key: The field of `orders` whose values are unique.
    """

    filters: Mapping[str, Condition]
    orders: Mapping[str, Column]
    default_order: str
    key: str


class ListRequest(Protocol):
    """The fields that every List request has."""

    page_size: int
    page_token: str
    filter: str
    order_by: str


@dataclass(frozen=True)
class ListQuery:
    """What a client asks of a list method.

    Attributes:
        page_size: How many at most; 0 for the default.
        page_token: The token of the page; empty for the first.
        filter: The filter; empty for everything.
        order_by: The order; empty for the default.
        parent: What the list is part of, such as ``models/m1``; empty for a top-level list.
    """

    page_size: int = 0
    page_token: str = ""
    filter: str = ""
    order_by: str = ""
    parent: str = ""

    @classmethod
    def of(cls, request: ListRequest, parent: str = "") -> Self:
        """Returns what a request asks."""
        return cls(request.page_size, request.page_token, request.filter, request.order_by, parent)


@dataclass(frozen=True)
class Page(Generic[M]):
    """A page of a list.

    Attributes:
        items: What is on it.
        next_page_token: The token of the next page; empty on the last one.
    """

    items: tuple[M, ...]
    next_page_token: str


async def fetch_page(
    session: AsyncSession,
    statement: Select[T],
    listing: Listing,
    query: ListQuery,
    tokens: PageTokens,
    encode: Callable[[T], M],
) -> Page[M]:
    """Reads one page; it ends early where it would become too large for a message.

    Args:
        session: The session to read in.
        statement: Selects the entities of the list, already narrowed to the parent.
        listing: What the list offers.
        query: What the client asks.
        tokens: Makes and opens the page tokens.
        encode: Returns the message of an entity.

    Raises:
        InvalidArgument: FIELD_INVALID, FILTER_INVALID or PAGE_TOKEN_INVALID.
    """
    size = page_size(query.page_size)
    orderings = parse_order(query.order_by or listing.default_order, listing.orders, listing.key)
    binding = json.dumps([query.parent, query.filter, query.order_by])
    narrowed = statement.where(*conditions(query.filter, listing.filters))
    if query.page_token:
        narrowed = narrowed.where(after(orderings, tokens.open(binding, query.page_token)))
    rows = (
        await session.execute(
            narrowed.add_columns(*(ordering.column for ordering in orderings))
            .order_by(*(ordering.clause for ordering in orderings))
            .limit(size + 1)
        )
    ).all()
    items: list[M] = []
    room = PAGE_BYTES
    for row in rows[:size]:
        item = encode(row[0])
        room -= item.ByteSize()
        if items and room < 0:
            break
        items.append(item)
    more = len(rows) > len(items)
    return Page(tuple(items), tokens.seal(binding, rows[len(items) - 1][1:]) if more else "")
