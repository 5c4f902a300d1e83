"""The subset of AIP-160 that lists understand: equality on named fields, joined by AND."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sliceandpack.error.v1 import error_reason_pb2 as pb
from sqlalchemy import ColumnElement
from sqlalchemy.orm import InstrumentedAttribute

from svckit.errors import InvalidArgument

Condition = Callable[[str], ColumnElement[bool]]
"""Makes the SQL condition that a field equals a value; raises `InvalidArgument` for a bad one."""

Column = ColumnElement[Any] | InstrumentedAttribute[Any]
"""A column of a table, such as ``ModelRow.licence``."""

MAX_FILTER_CHARACTERS: Final = 2_000
"""The longest filter or order."""

_TOKEN: Final = re.compile(
    r"""\s*(?:
        "(?P<double>(?:[^"\\]|\\.)*)"
      | '(?P<single>(?:[^'\\]|\\.)*)'
      | (?P<word>[A-Za-z0-9_][A-Za-z0-9_./-]*)
      | (?P<sign>[^\s\w"']+|.)
    )""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class Restriction:
    """One term of a filter: a field equals a value.

    Attributes:
        field: The field.
        value: The value, without quotes.
    """

    field: str
    value: str


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str


def equals(column: Column) -> Condition:
    """Returns the condition that a text column equals the filter's value."""
    return lambda value: column == value


def conditions(text: str, fields: Mapping[str, Condition]) -> tuple[ColumnElement[bool], ...]:
    """Returns a filter as SQL conditions that must all hold.

    Args:
        text: The filter, such as ``label = "cat" AND licence = "MIT"``; empty for none.
        fields: The fields that may be named, and the condition that each makes.

    Raises:
        InvalidArgument: FILTER_INVALID.
    """
    found = []
    for restriction in parse_filter(text):
        if restriction.field not in fields:
            known = ", ".join(sorted(fields))
            raise invalid_filter(
                text, f"The filter names {restriction.field!r}.", f"Filter by {known or 'nothing'}."
            )
        found.append(fields[restriction.field](restriction.value))
    return tuple(found)


def parse_filter(text: str) -> tuple[Restriction, ...]:
    """Returns the terms of a filter.

    Args:
        text: The filter; a value is a word or stands in quotes, where a backslash takes the next
            character as it is.

    Raises:
        InvalidArgument: FILTER_INVALID.
    """
    if len(text) > MAX_FILTER_CHARACTERS:
        raise invalid_filter(
            text[:100],
            f"The filter is longer than {MAX_FILTER_CHARACTERS} characters.",
            "Ask several times.",
        )
    tokens = list(_tokens(text))
    terms = []
    while tokens:
        terms.append(_term(text, tokens[:3]))
        rest = tokens[3:]
        if rest and (rest[0] != _Token("word", "AND") or len(rest) == 1):
            raise invalid_filter(text, f"{rest[0].text!r} is not understood.", _GRAMMAR)
        tokens = rest[1:]
    return tuple(terms)


def invalid_filter(text: str, message: str, advice: str) -> InvalidArgument:
    """Returns the error of a filter or order that cannot be understood.

    Args:
        text: The filter or order.
        message: What is wrong with it.
        advice: What to write instead.
    """
    return InvalidArgument(
        pb.ERROR_REASON_FILTER_INVALID, message, advice=advice, metadata={"filter": text}
    )


_GRAMMAR: Final = 'Write field = "value", several of them joined by AND.'


def _tokens(text: str) -> Iterator[_Token]:
    for match in _TOKEN.finditer(text.rstrip()):
        kind = match.lastgroup or "sign"
        value = match[kind]
        if kind in ("double", "single"):
            yield _Token("quoted", re.sub(r"\\(.)", r"\1", value, flags=re.DOTALL))
        else:
            yield _Token(kind, value)


def _term(text: str, tokens: list[_Token]) -> Restriction:
    match [(token.kind, token.text) for token in tokens]:
        case [("word", field), ("sign", "="), ("word" | "quoted", value)]:
            return Restriction(field, value)
        case [("word", _), ("sign", sign), *_]:
            message = f"The operator {sign!r} is not supported."
        case _:
            message = "The filter is not understood."
    raise invalid_filter(text, message, _GRAMMAR)
