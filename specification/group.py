"""The specifications of one space, kept for comparing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from specification.embedding import Embedding, Units, embed
from specification.model import Specification

_REGROWN: Final = 2.0
"""Units are taken anew when the group has grown or shrunk by this factor."""


@dataclass(frozen=True, eq=False)
class Kept:
    """A specification as a group keeps it; its points are in `embedding` alone.

    Attributes:
        name: The model's.
        specification: It, but for its points.
        embedding: Its classes in the group's units.
    """

    name: str
    specification: Specification
    embedding: Embedding


@dataclass(frozen=True, eq=False)
class Table:
    """All classes of a group in one.

    Attributes:
        units: In which everything is compared.
        kept: The specifications.
        means: Of all classes `(K, D)` float32.
        squares: ‖mean‖² `(K,)` float32.
        noise: Of all classes `(K,)` float32.
        model_of: The place of each class's model in `kept` `(K,)`.
        starts: Where the classes of each model begin `(models,)`.
    """

    units: Units
    kept: list[Kept]
    means: NDArray[np.float32]
    squares: NDArray[np.float32]
    noise: NDArray[np.float32]
    model_of: NDArray[np.int64]
    starts: NDArray[np.int64]


class Group:
    """Specifications of one space by name, put together for comparing when that is asked for."""

    def __init__(self) -> None:
        self._specifications: dict[str, Specification] = {}
        self._kept: dict[str, Kept] = {}
        self._units: Units | None = None
        self._measured = 0
        self._table: Table | None = None

    def __len__(self) -> int:
        return len(self._specifications)

    def add(self, name: str, specification: Specification) -> None:
        """Adds a specification."""
        self._table = None
        if "tensor" in specification.space.kind:
            self._specifications[name] = specification
            self._kept.pop(name, None)
            return
        # The units of pictures and text are fixed: its points are not needed a second time.
        if self._units is None:
            self._units = Units(specification.offset, specification.scale)
        self._kept[name] = _kept(name, specification, self._units)
        self._specifications[name] = self._kept[name].specification

    def remove(self, name: str) -> None:
        """Takes one away."""
        del self._specifications[name]
        self._kept.pop(name, None)
        self._table = None

    def table(self) -> Table:
        """Returns everything that is compared; quick unless something was added or taken away."""
        if self._table is None:
            self._table = self._made()
        return self._table

    def _made(self) -> Table:
        count = len(self._specifications)
        tables = [one for one in self._specifications.values() if "tensor" in one.space.kind]
        if tables and self._outgrown(count):
            self._units, self._measured = _units(tables), count
            self._kept.clear()
        assert self._units is not None
        for name, specification in self._specifications.items():
            if name not in self._kept:
                self._kept[name] = _kept(name, specification, self._units)
        kept = [self._kept[name] for name in self._specifications]
        sizes = [one.embedding.classes for one in kept]
        means = np.concatenate([one.embedding.means for one in kept])
        return Table(
            units=self._units,
            kept=kept,
            means=means,
            squares=np.einsum("kd,kd->k", means, means),
            noise=np.concatenate([one.embedding.noise for one in kept]).astype(np.float32),
            model_of=np.repeat(np.arange(len(kept)), sizes),
            starts=np.cumsum([0, *sizes[:-1]]),
        )

    def _outgrown(self, count: int) -> bool:
        return not self._measured or not 1 / _REGROWN < count / self._measured < _REGROWN


def _kept(name: str, specification: Specification, units: Units) -> Kept:
    bare = replace(specification, points=specification.points[:0].copy())
    return Kept(name, bare, embed(specification, units, np.float16))


def _units(specifications: list[Specification]) -> Units:
    """The middle of the specifications' own units, which differ among tables alone."""
    return Units(
        np.median([one.offset for one in specifications], axis=0),
        np.median([one.scale for one in specifications], axis=0),
    )
