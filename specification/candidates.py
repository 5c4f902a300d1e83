"""The few models of a market that a task is compared with by MMD."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from specification.embedding import Embedding, embed, inner_products
from specification.group import Group, Kept, Table
from specification.model import Floats, Specification
from specification.scoring import excess, near, opinions, scores
from specification.solvers import non_negative

_SUM: Final = 1e3
"""Weight of the row that holds a mixture's shares to 1."""
_LEAST_LENGTH: Final = 1e-6


@dataclass(frozen=True, eq=False)
class Candidates:
    """Models, with their classes as columns and the user's as rows.

    Attributes:
        names: The models'.
        specifications: The models'.
        model_of: The place of each column's model `(K,)`.
        label_of: Each column's class in its model `(K,)`.
        squared: Squared MMD `(c, K)`.
        excess: As `scoring.excess` `(c, K)`.
        near: As `scoring.near` `(c, K)`.
        scores: As `scoring.scores` `(c, K)`.
        whole: Squared MMD of all the user's samples and the best mixture of a model's classes.
        whole_excess: That in units of what chance makes.
        compared: Models of the group.
    """

    names: list[str]
    specifications: list[Specification]
    model_of: NDArray[np.int64]
    label_of: NDArray[np.int64]
    squared: Floats
    excess: Floats
    near: NDArray[np.bool_]
    scores: Floats
    whole: Floats
    whole_excess: Floats
    compared: int


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
    allowed = np.array([among is None or one.name in among for one in table.kept])
    if not allowed.any():
        return None
    wanted = embed(query, table.units, np.float32)
    kept = [table.kept[place] for place in _shortlist(wanted, table, count, allowed)]
    market = [one.embedding for one in kept]
    sizes = [one.classes for one in market]
    towards = inner_products(wanted, market)
    own = np.concatenate([np.diag(one.gram) for one in market])
    squared = np.maximum(np.diag(wanted.gram)[:, None] + own[None] - 2 * towards, 0.0)
    noise = np.concatenate([one.noise for one in market])
    far = excess(squared, wanted.noise, noise)
    apart = np.concatenate([_apart(one) for one in market])
    raw = query.points * query.scale + query.offset
    said = np.concatenate([_said(query, raw, one) for one in kept], axis=1)
    whole, whole_excess = _wholes(wanted, market, towards)
    return Candidates(
        names=[one.name for one in kept],
        specifications=[one.specification for one in kept],
        model_of=np.repeat(np.arange(len(kept)), sizes),
        label_of=np.concatenate([np.arange(size) for size in sizes]),
        squared=squared,
        excess=far,
        near=near(squared, wanted.noise, noise, apart),
        scores=scores(far, said),
        whole=whole,
        whole_excess=whole_excess,
        compared=int(allowed.sum()),
    )


def _shortlist(
    wanted: Embedding, table: Table, count: int, allowed: NDArray[np.bool_]
) -> list[int]:
    """Models whose classes' means are nearest to the user's, class by class and in all."""
    if allowed.sum() <= count:
        return [int(place) for place in np.flatnonzero(allowed)]
    apart = wanted.means @ table.means.T
    apart *= -2
    apart += table.squares + np.einsum("kd,kd->k", wanted.means, wanted.means)[:, None]
    far = apart / (wanted.noise.astype(np.float32)[:, None] + table.noise)
    by_model = np.minimum.reduceat(far, table.starts, axis=1)
    by_model[:, ~allowed] = np.inf
    # Half of them by the whole task, the others by its classes in turn.
    found = _least(by_model.sum(axis=0), count // 2)
    each = max(1, (count - len(found)) // len(by_model))
    for row in by_model:
        found |= _least(row, each)
    return sorted(found)


def _least(values: NDArray[np.float32], count: int) -> set[int]:
    return set(np.argpartition(values, count)[:count].tolist())


def _apart(one: Embedding) -> Floats:
    """Squared distance of each class of a model to the nearest other one, chance taken off."""
    own = np.diag(one.gram)
    apart = own[:, None] + own[None] - 2 * one.gram - one.noise[:, None] - one.noise[None]
    np.fill_diagonal(apart, np.inf)
    nearest = apart.min(axis=1)
    # One class alone is told from nothing.
    return np.where(np.isfinite(nearest), np.maximum(nearest, 0.0), 0.0)


def _said(query: Specification, raw: Floats, one: Kept) -> Floats:
    """What a model's proxy says of the user's classes; nothing where it has none."""
    model = one.specification
    if not model.labels:
        return np.ones((max(1, len(query.labels)), one.embedding.classes))
    return opinions(query, (raw - model.offset) / model.scale, model)


def _wholes(wanted: Embedding, market: list[Embedding], towards: Floats) -> tuple[Floats, Floats]:
    """How near the user's samples as a whole are to the best mixture of each model's classes."""
    own = wanted.shares @ wanted.gram @ wanted.shares
    noise = float((wanted.shares**2 * wanted.noise).sum())
    ends = np.cumsum([one.classes for one in market])[:-1]
    found, far = [], []
    for one, part in zip(market, np.split(wanted.shares @ towards, ends), strict=True):
        shares = _mixture(one.gram, part)
        squared = max(float(own + shares @ one.gram @ shares - 2 * part @ shares), 0.0)
        found.append(squared)
        far.append(squared / (noise + float((shares**2 * one.noise).sum())))
    return np.array(found), np.array(far)


def _mixture(gram: Floats, towards: Floats) -> Floats:
    """The shares ≥ 0 with sum 1 under which a model's classes are nearest to the samples."""
    values, axes = np.linalg.eigh(gram)
    # Two classes may be the same one.
    lengths = np.sqrt(np.maximum(values, _LEAST_LENGTH))
    rows = np.vstack([(axes * lengths).T, np.full((1, len(gram)), _SUM)])
    found = non_negative(rows, np.append((axes / lengths).T @ towards, _SUM))
    return np.asarray(found / found.sum())
