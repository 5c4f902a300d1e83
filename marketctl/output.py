"""The only place that prints: data to stdout; notes, progress and errors to stderr."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from google.protobuf.message import Message
from rich.console import Console
from rich.text import Text
from sliceandpack.error.v1 import error_reason_pb2 as reasons

from marketctl.columns import Column
from marketctl.exit_codes import exit_code_of
from marketctl.plain import plain
from marketctl.settings import Format
from marketctl.tables import Cells, fact_lines, table_lines
from svckit.errors import ServiceError


@dataclass(frozen=True)
class Section:
    """A table below the facts of one thing.

    Attributes:
        title: What stands above it.
        columns: Its columns.
        rows: What the columns read.
    """

    title: str
    columns: Sequence[Column]
    rows: Sequence[Any]


class Printer:
    """Prints results in the format that was asked for.

    Args:
        form: The format.
        quiet: Whether notes and progress are left out.

    Attributes:
        errors: The console behind stderr.
        quiet: Whether notes and progress are left out.
    """

    def __init__(self, form: Format, *, quiet: bool) -> None:
        self._format = form
        self.quiet = quiet
        self._console = _console(stderr=False)
        self.errors = _console(stderr=True)

    @property
    def is_table(self) -> bool:
        """Whether a person reads it."""
        return self._format is Format.TABLE

    def data(self, value: object) -> None:
        """Prints plain data as JSON or YAML; in table format as JSON too."""
        text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
        if self._format is Format.YAML:
            # Of JSON's own types: YAML knows no ordered mappings and no enumerations.
            text = yaml.safe_dump(json.loads(text), sort_keys=False, allow_unicode=True)
        print(text, end="")
        sys.stdout.flush()

    def many(self, messages: Sequence[Message], columns: Sequence[Column]) -> None:
        """Prints a list: a table, or an array.

        Args:
            messages: The things.
            columns: What the table says of each.
        """
        if not self.is_table:
            self.data([plain(message) for message in messages])
        elif messages:
            self.table(columns, messages)
        else:
            self.note("Nothing.")

    def one(self, message: Message, facts: Iterable[tuple[str, str]], *sections: Section) -> None:
        """Prints one thing: its facts and tables, or an object.

        Args:
            message: The thing.
            facts: What the table format says of it, each with its title.
            sections: Further tables below.
        """
        if not self.is_table:
            self.data(plain(message))
            return
        told = self.facts(facts)
        for place, section in enumerate(sections):
            if section.rows:
                gap = "\n" if place or told else ""
                self._print(Text(gap + section.title, style="bold"))
                self.table(section.columns, section.rows)

    def facts(self, facts: Iterable[tuple[str, str]]) -> bool:
        """Prints what is to be told, each with its title; returns whether there was anything."""
        told = [(title, readable(value)) for title, value in facts if value]
        for title, value in fact_lines(told, self._width):
            self._print(Text.assemble((title, "bold"), value))
        return bool(told)

    def table(self, columns: Sequence[Column], rows: Iterable[Any]) -> None:
        """Prints a table; where it is too wide for the terminal, only what is spare is left out."""
        rows = list(rows)
        cells = [
            Cells(
                column.title,
                [readable(column.text(row)) for row in rows],
                column.right,
                column.words,
                column.spare,
            )
            for column in columns
        ]
        for title, text in table_lines(cells, self._width):
            self._print(Text.assemble((title, "bold"), text))

    @property
    def _width(self) -> int | None:
        """How wide a line may be; what goes into a pipe is as wide as it needs to be."""
        return self._console.width if self._console.is_terminal else None

    def _print(self, text: Text) -> None:
        # The terminal breaks what is wider, so that a name can be copied whole.
        self._console.print(text, soft_wrap=True)

    def line(self, text: str) -> None:
        """Prints a line of a result that a person reads."""
        self._print(_text(text))

    def note(self, text: str) -> None:
        """Says something beside the result, unless it is to be quiet."""
        if not self.quiet:
            self.errors.print(_text(text))

    def warn(self, text: str) -> None:
        """Says something beside the result that must not go unheard."""
        self.errors.print(_text(text))

    def done(self, name: str, what: str) -> None:
        """Tells that something without a result was done to a resource."""
        if self.is_table:
            self.note(f"{name}: {what}.")
        else:
            self.data({"name": name})

    def error(self, error: ServiceError) -> None:
        """Prints what went wrong, and what to do about it."""
        if not self.is_table:
            print(json.dumps(_error_data(error), ensure_ascii=False), file=sys.stderr)
            return
        # What happened on this machine has no reason among the services'.
        known = error.reason != reasons.ERROR_REASON_UNSPECIFIED
        reason = f" [{error.reason_name}]" if known else ""
        self.errors.print(Text.assemble(("Error: ", "bold red"), _text(error.message + reason)))
        for violation in error.violations:
            text = f"{violation.field}: {violation.description}"
            if text not in error.message:
                self.errors.print(_text(f"  {text}"))
        if error.advice:
            self.errors.print(Text.assemble(("What to do: ", "bold"), _text(error.advice)))


def readable(text: str) -> str:
    """Returns a text without control characters, which a terminal would obey.

    Args:
        text: Whatever a file, a model or a service brought.
    """
    return "".join(
        "�" if unicodedata.category(character) in ("Cc", "Cf", "Cs") else character
        for character in text.replace("\n", " ").replace("\t", " ")
    )


def _error_data(error: ServiceError) -> dict[str, Any]:
    return {
        "error": {
            "code": error.code.name,
            "reason": error.reason_name,
            "message": error.message,
            "advice": error.advice,
            "metadata": dict(error.metadata),
            "violations": [
                {"field": violation.field, "description": violation.description}
                for violation in error.violations
            ],
            "exit_code": int(exit_code_of(error.code)),
        }
    }


def _console(*, stderr: bool) -> Console:
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=stderr)


def _text(text: str) -> Text:
    return Text(readable(text))
