"""Reads a manifest to the last field: one that nobody asked for is an error, not an oversight."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Self

_REQUIRED: Any = object()


class UntranslatedError(Exception):
    """A manifest says what has no counterpart here."""


class Fields:
    """The fields of one object, each to be asked for; a context manager that sees to it.

    Args:
        at: Where the object stands, for people.
        given: The object.

    Raises:
        UntranslatedError: At the end, if a field is left that nobody asked for.
    """

    def __init__(self, at: str, given: Mapping[str, Any]) -> None:
        self.at = at
        self._left = dict(given)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None and self._left:
            raise UntranslatedError(f"{self.at}: no translation of {', '.join(sorted(self._left))}")

    def take(self, name: str, default: Any = _REQUIRED) -> Any:
        """Returns a field's value; one without a default has to be there."""
        if default is _REQUIRED and name not in self._left:
            raise UntranslatedError(f"{self.at}: {name} is not there")
        return self._left.pop(name, default)

    def exactly(self, **wanted: object) -> None:
        """Asks for fields whose only value with a counterpart here is this one."""
        for name, value in wanted.items():
            if (found := self.take(name)) != value:
                raise UntranslatedError(
                    f"{self.at}: {name} is {found!r}, and only {value!r} is known"
                )

    def without_effect(self, *names: str) -> None:
        """Asks for fields that say nothing to what runs on a single machine."""
        for name in names:
            self._left.pop(name, None)

    def part(self, name: str) -> Fields:
        """Returns the fields of an object within; none where it is not there."""
        return Fields(f"{self.at}.{name}", self.take(name, {}))

    def parts(self, name: str) -> Iterator[Fields]:
        """Yields the fields of each object of a list; each is read to its end before the next."""
        for number, given in enumerate(self.take(name, ())):
            with Fields(f"{self.at}.{name}[{number}]", given) as fields:
                yield fields
