"""The few models of a market that a task is compared with by MMD."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from specification.embedding import Embedding, embed, inner_products
from specification.group import Group
from specification.model import Floats, Specification
from specification.scoring import excess, near, opinions, scores
from specification.solvers import non_negative
from specification.table import Kept

_SUM: Final = 1e3
"""Weight of the row that holds a mixture's shares to 1."""
_LEAST_LENGTH: Final = 1e-6


@dataclass(frozen=True, eq=False)
class Candidates:
    """Models, with their classes as columns and the user's as rows.

    Attributes:
        kept: The models.
        starts: Where the columns of each model begin `(models,)`.
        model_of: The place of each column's model `(K,)`.
        wanted: The user's.
        towards: ⟨μ, μ′⟩ of the user's kernel means and the models' `(c, K)`.
        squared: Squared MMD `(c, K)`.
        excess: As `scoring.excess` `(c, K)`.
        near: As `scoring.near` `(c, K)`.
        scores: As `scoring.scores` `(c, K)`.
        compared: Models of the group.
    """

    kept: Sequence[Kept]
    starts: NDArray[np.int64]
    model_of: NDArray[np.int64]
    wanted: Embedding
    towards: Floats
    squared: Floats
    excess: Floats
    near: NDArray[np.bool_]
    scores: Floats
    compared: int

    def columns(self, place: int) -> slice:
        """Returns the columns of a model."""
        start = int(self.starts[place])
        return slice(start, start + len(self.kept[place].starts))

    def whole(self, place: int) -> tuple[float, float]:
        """Compares all the user's samples with the best mixture of a model's classes.

        Returns:
            Their squared MMD, and that in units of what chance makes.
        """
        one, wanted = self.kept[place], self.wanted
        towards = wanted.shares @ self.towards[:, self.columns(place)]
        shares = _mixture(one.gram, towards)
        own = wanted.shares @ wanted.gram @ wanted.shares
        squared = max(float(own + shares @ one.gram @ shares - 2 * towards @ shares), 0.0)
        noise = (wanted.shares**2 * wanted.noise).sum() + (shares**2 * one.noise).sum()
        return squared, squared / float(noise)


def candidates(
    query: Specification, group: Group, count: int, among: Collection[str] | None
) -> Candidates | None:
    """Finds the models that are worth comparing, and compares them.

    Args:
        query: The user's.
        group: The specifications of its space.
        count: Models at most.
        among: The names that may be found; None for all.

    Returns:
        None where there is none.
    """
    if not len(group):
        return None
    table = group.table()
    allowed = table.among(among)
    if not allowed.any():
        return None
    wanted = embed(query, table.units, np.float32)
    if allowed.sum() <= count:
        kept = [table[int(place)] for place in np.flatnonzero(allowed)]
    else:
        kept = [table[place] for place in _shortlist(table.far(wanted), count, allowed)]
    towards = inner_products(wanted, kept)
    own = np.concatenate([np.diag(one.gram) for one in kept])
    squared = np.maximum(np.diag(wanted.gram)[:, None] + own[None] - 2 * towards, 0.0)
    noise = np.concatenate([one.noise for one in kept])
    far = excess(squared, wanted.noise, noise)
    apart = np.concatenate([one.apart for one in kept])
    sizes = [len(one.starts) for one in kept]
    starts = np.cumsum([0, *sizes[:-1]])
    return Candidates(
        kept=kept,
        starts=starts,
        model_of=np.repeat(np.arange(len(kept)), sizes),
        wanted=wanted,
        towards=towards,
        squared=squared,
        excess=far,
        near=near(squared, wanted.noise, noise, apart),
        scores=scores(far, _said(query, kept, starts)),
        compared=int(allowed.sum()),
    )


def _shortlist(far: NDArray[np.float32], count: int, allowed: NDArray[np.bool_]) -> list[int]:
    """Models whose classes' means are nearest to the user's, class by class and in all."""
    far[:, ~allowed] = np.inf
    # Half of them by the whole task, the others by its classes in turn.
    found = _least(far.sum(axis=0), count // 2)
    each = max(1, (count - len(found)) // len(far))
    for row in far:
        found |= _least(row, each)
    return sorted(found)


def _least(values: NDArray[np.float32], count: int) -> set[int]:
    return set(np.argpartition(values, count)[:count].tolist())


def _said(query: Specification, kept: Sequence[Kept], starts: NDArray[np.int64]) -> Floats:
    """What the models' proxies say of the user's classes `(c, K)`."""
    raw = query.points * query.scale + query.offset
    # One by one: of a single product, columns with the same numbers may differ in the last place,
    # and models of the same weights would not be told in the order of their names.
    logits = np.concatenate([raw @ one.proxy + one.bias for one in kept], axis=1)
    found = opinions(query, logits, starts)
    # A model that has none says nothing.
    found[:, [start for start, one in zip(starts, kept, strict=True) if not one.labels]] = 1.0
    return found


def _mixture(gram: Floats, towards: Floats) -> Floats:
    """The shares ≥ 0 with sum 1 under which a model's classes are nearest to the samples."""
    values, axes = np.linalg.eigh(gram)
    # Two classes may be the same one.
    lengths = np.sqrt(np.maximum(values, _LEAST_LENGTH))
    rows = np.vstack([(axes * lengths).T, np.full((1, len(gram)), _SUM)])
    found = non_negative(rows, np.append((axes / lengths).T @ towards, _SUM))
    return np.asarray(found / found.sum())
