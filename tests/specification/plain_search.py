"""The search as docs/specification.md defines it, model by model and without an index."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from specification.embedding import Embedding, Units, embed, inner_products
from specification.index import SHORTLIST
from specification.model import Floats, Specification
from specification.scoring import FITS, excess, near, scores


@dataclass(frozen=True)
class Found:
    """A model, as `ModelMatch` has it; labels are the model's, by class of the user."""

    model: str
    score: float
    excess: float
    fits: bool
    labels: tuple[int, ...]


def plainly(market: Mapping[str, Specification], query: Specification) -> list[Found]:
    """Compares a task with every model, the best first. The task has labels."""
    units = Units(
        np.median([one.offset for one in market.values()], axis=0),
        np.median([one.scale for one in market.values()], axis=0),
    )
    wanted = embed(query, units, np.float32)
    near_by = _shortlist(
        {name: embed(one, units, np.float16) for name, one in market.items()}, wanted
    )
    excesses = {name: _excess(wanted, one) for name, one in near_by.items()}
    said = np.concatenate([_said(query, market[name]) for name in near_by], axis=1)
    found = scores(np.concatenate(list(excesses.values()), axis=1), said)
    ends = np.cumsum([one.classes for one in near_by.values()])[:-1]
    listed = [
        _one(name, part, excesses[name], _near(wanted, near_by[name]))
        for name, part in zip(near_by, np.split(found, ends, axis=1), strict=True)
    ]
    return sorted(listed, key=lambda one: (-one.score, one.excess, one.model))


def _shortlist(models: Mapping[str, Embedding], wanted: Embedding) -> dict[str, Embedding]:
    if len(models) <= SHORTLIST:
        return dict(models)
    far = {}
    for name, one in models.items():
        apart = ((wanted.means[:, None] - one.means[None]).astype(np.float64) ** 2).sum(axis=2)
        far[name] = (apart / (wanted.noise[:, None] + one.noise[None])).min(axis=1)
    chosen = set(sorted(far, key=lambda name: far[name].sum())[: SHORTLIST // 2])
    each = (SHORTLIST - len(chosen)) // wanted.classes
    for row in range(wanted.classes):
        chosen |= set(sorted(far, key=lambda name: far[name][row])[:each])
    return {name: one for name, one in models.items() if name in chosen}


def _squared(wanted: Embedding, one: Embedding) -> Floats:
    both = np.diag(wanted.gram)[:, None] + np.diag(one.gram)[None]
    return np.maximum(both - 2 * inner_products(wanted, [one]), 0.0)


def _excess(wanted: Embedding, one: Embedding) -> Floats:
    return excess(_squared(wanted, one), wanted.noise, one.noise)


def _near(wanted: Embedding, one: Embedding) -> NDArray[np.bool_]:
    apart = np.zeros(one.classes)
    for place in range(one.classes):
        others = [
            one.gram[place, place]
            + one.gram[k, k]
            - 2 * one.gram[place, k]
            - one.noise[[place, k]].sum()
            for k in range(one.classes)
            if k != place
        ]
        apart[place] = max(0.0, min(others)) if others else 0.0
    return near(_squared(wanted, one), wanted.noise, one.noise, apart)


def _said(query: Specification, model: Specification) -> Floats:
    if not model.labels:
        return np.ones((len(query.labels), 1))
    points = (query.points * query.scale + query.offset - model.offset) / model.scale
    odds = np.exp(points @ model.proxy + model.bias)
    odds /= odds.sum(axis=1, keepdims=True)
    own = [query.points_of(label) for label in range(len(query.labels))]
    return np.array([np.average(odds[rows], axis=0, weights=query.weights[rows]) for rows in own])


def _one(name: str, found: Floats, excesses: Floats, nearby: NDArray[np.bool_]) -> Found:
    rows = np.arange(len(found))

    def worth(columns: tuple[int, ...]) -> float:
        far = np.minimum(excesses[rows, columns], 1e5)
        return float((found[rows, columns] - 1e-3 * far).sum())

    columns = max(permutations(range(found.shape[1]), len(found)), key=worth)
    mean = float(excesses[rows, columns].mean())
    fits = bool(mean <= FITS or nearby[rows, columns].all())
    score = 0.5 * float(found[rows, columns].mean()) + 0.5 * fits
    return Found(name, score, mean, fits, columns)
