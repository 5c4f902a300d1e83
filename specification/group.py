"""The specifications of one space, kept for comparing."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import numpy as np

from specification.embedding import Units
from specification.model import Specification
from specification.table import Table

_REGROWN: Final = 2.0
"""Units are taken anew when the group has grown or shrunk by this factor."""


class Group:
    """Specifications of one space by name.

    Those of pictures and text are of the same units everywhere, and go into the table at once. The
    units of numbers depend on all that are there: these wait until somebody asks for the table.
    """

    def __init__(self) -> None:
        self._table: Table | None = None
        self._measured = 0
        self._numbers: dict[str, Specification] = {}
        self._waiting: dict[str, Specification] = {}

    def __len__(self) -> int:
        return len(self._numbers) or (0 if self._table is None else len(self._table))

    def add(self, name: str, specification: Specification) -> None:
        """Adds a specification under a name that is not there."""
        if "tensor" in specification.space.kind:
            self._numbers[name] = self._waiting[name] = specification
            return
        if self._table is None:
            self._table = Table(_units([specification]))
        self._table.add(name, specification)

    def remove(self, name: str) -> None:
        """Takes one away."""
        self._numbers.pop(name, None)
        self._waiting.pop(name, None)
        if self._table is not None:
            self._table.remove(name)

    def table(self) -> Table:
        """Returns everything that is compared; quick unless numbers came or went."""
        if self._numbers and self._outgrown():
            self._table, self._measured = Table(_units(self._numbers.values())), len(self)
            self._waiting = dict(self._numbers)
        assert self._table is not None, "nobody asks an empty group"
        while self._waiting:
            name = next(iter(self._waiting))
            self._table.add(name, self._waiting.pop(name))
        return self._table

    def _outgrown(self) -> bool:
        return not self._measured or not 1 / _REGROWN < len(self) / self._measured < _REGROWN


def _units(specifications: Collection[Specification]) -> Units:
    """The middle of the specifications' own units, which differ among those of numbers alone."""
    return Units(
        np.median([one.offset for one in specifications], axis=0),
        np.median([one.scale for one in specifications], axis=0),
    )
