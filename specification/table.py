"""The classes of many specifications, side by side."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from specification.embedding import Embedding, Points, Units, embed
from specification.growing import Growing
from specification.model import Floats, Specification


@dataclass(frozen=True, eq=False, slots=True)
class Kept:
    """What a table keeps of a specification, beside the means of its classes.

    Attributes:
        name: The model's.
        labels: What its classes are called; empty where it has none.
        points: Of its embedding in the table's units `(m, D)` float16.
        weights: Of its embedding `(m,)`.
        starts: Of its embedding `(K,)`.
        gram: Of its embedding `(K, K)`.
        noise: Of its embedding `(K,)`.
        apart: Squared distance of each class to the nearest other one, chance taken off `(K,)`.
        proxy: Makes scores of points in no units `(D, K)`; float32 where that holds it exactly.
        bias: Of the proxy `(K,)`.
    """

    name: str
    labels: tuple[str, ...]
    points: Points
    weights: NDArray[np.float32]
    starts: NDArray[np.int64]
    gram: Floats
    noise: Floats
    apart: Floats
    proxy: NDArray[np.floating]
    bias: Floats


class Table:
    """Specifications by name; each has a place, and a column for every class.

    One that comes or goes touches its own columns alone: a market that changes all the time is
    searched as quickly as one that does not.

    Args:
        units: In which everything is compared.
    """

    def __init__(self, units: Units) -> None:
        self.units = units
        self._places: dict[str, int] = {}
        # By place; None and False for what was taken away.
        self._kept: list[Kept | None] = []
        self._there = Growing(np.bool_)
        self._starts = Growing(np.int64)
        # By column. Axes of the means are far apart: a product with few rows is twice as fast so.
        self._means = Growing(np.float32, len(units.offset))
        self._squares = Growing(np.float32)
        self._noise = Growing(np.float32)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, place: int) -> Kept:
        found = self._kept[place]
        assert found is not None, "it was taken away"
        return found

    def add(self, name: str, specification: Specification) -> None:
        """Adds a specification under a name that is not there."""
        found = embed(specification, self.units, np.float16)
        self._places[name] = len(self._kept)
        self._starts.append([self._noise.values.size])
        self._there.append([True])
        self._means.append(found.means.T)
        self._squares.append(np.einsum("kd,kd->k", found.means, found.means))
        self._noise.append(found.noise)
        self._kept.append(_kept(name, specification, found))

    def remove(self, name: str) -> None:
        """Takes one away, if there is one of that name."""
        place = self._places.pop(name, None)
        if place is None:
            return
        self._kept[place], self._there.values[place] = None, False
        if 2 * len(self) < len(self._kept):
            self._close_up()

    def among(self, names: Collection[str] | None) -> NDArray[np.bool_]:
        """Returns which places have one of these names; of all names, if None."""
        if names is None:
            return self._there.values.copy()
        found = np.zeros(len(self._kept), np.bool_)
        found[[self._places[name] for name in names if name in self._places]] = True
        return found

    def far(self, wanted: Embedding) -> NDArray[np.float32]:
        """How far the means of each model's nearest class are from those of a task's classes.

        Args:
            wanted: The task's, in the units of the table.

        Returns:
            Squared distances in units of what chance makes `(c, places)`, for places in use.
        """
        found = wanted.means @ self._means.values
        found *= -2
        found += np.einsum("kd,kd->k", wanted.means, wanted.means)[:, None]
        found += self._squares.values
        found /= wanted.noise.astype(np.float32)[:, None] + self._noise.values
        return np.minimum.reduceat(found, self._starts.values, axis=1)

    def _close_up(self) -> None:
        """Gives places and columns of what was taken away to those behind."""
        there = self._there.values
        sizes = np.diff(self._starts.values, append=self._noise.values.size)
        columns = np.flatnonzero(np.repeat(there, sizes))
        for one in (self._means, self._squares, self._noise):
            one.take(columns)
        left = [one for one in self._kept if one is not None]
        self._kept = [*left]
        self._places = {one.name: place for place, one in enumerate(left)}
        self._starts, self._there = Growing(np.int64), Growing(np.bool_)
        self._starts.append(np.cumsum([0, *(len(one.starts) for one in left)])[:-1])
        self._there.append(np.ones(len(left), np.bool_))


def _kept(name: str, specification: Specification, found: Embedding) -> Kept:
    proxy, bias = specification.proxy, specification.bias
    if not specification.labels:
        # A proxy that says of everything that it is of the one class.
        proxy, bias = np.zeros((len(specification.scale), 1)), np.zeros(1)
    elif "tensor" in specification.space.kind:
        proxy = proxy / specification.scale[:, None]
        bias = bias - specification.offset @ proxy
    else:
        proxy = proxy.astype(np.float32)
    return Kept(
        name=name,
        labels=specification.labels,
        points=found.points,
        weights=found.weights,
        starts=found.starts,
        gram=found.gram,
        noise=found.noise,
        apart=_apart(found),
        proxy=proxy,
        bias=bias,
    )


def _apart(one: Embedding) -> Floats:
    own = np.diag(one.gram)
    apart = own[:, None] + own[None] - 2 * one.gram - one.noise[:, None] - one.noise[None]
    np.fill_diagonal(apart, np.inf)
    nearest = apart.min(axis=1)
    # One class alone is told from nothing.
    return np.where(np.isfinite(nearest), np.maximum(nearest, 0.0), 0.0)
