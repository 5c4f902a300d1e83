"""The search among many specifications."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from specification.checks import validate
from specification.kernel import kernel
from specification.model import Floats, Space, Specification
from specification.results import (
    ClassesFound,
    ClassesOfOne,
    ClassMatch,
    ModelMatch,
    ModelsFound,
)

SHORTLIST = 64
"""Models that are compared exactly."""


@dataclass(frozen=True, eq=False)
class _Entry:
    name: str
    specification: Specification


class Index:
    """Specifications by name; a task finds models and classes among those in its own space.

    Args:
        entries: Names and specifications to begin with.
    """

    def __init__(self, entries: Iterable[tuple[str, Specification]] = ()) -> None:
        self._entries: dict[Space, dict[str, _Entry]] = {}
        for name, specification in entries:
            self.add(name, specification)

    def __len__(self) -> int:
        return sum(len(group) for group in self._entries.values())

    def add(self, name: str, specification: Specification) -> None:
        """Adds a specification, or replaces the one of that name.

        Raises:
            SpecificationError: As `validate`.
        """
        validate(specification)
        self.remove(name)
        self._entries.setdefault(specification.space, {})[name] = _Entry(name, specification)

    def remove(self, name: str) -> None:
        """Takes a specification away, if there is one of that name."""
        for group in self._entries.values():
            group.pop(name, None)

    def models(
        self, query: Specification, limit: int = 10, among: Collection[str] | None = None
    ) -> ModelsFound:
        """Finds models for a task.

        Args:
            query: The task's specification.
            limit: Matches at most.
            among: The names that are compared; None for all.
        """
        group = self._group(query, among)
        if not group:
            return ModelsFound((), False, _nothing_comparable(query), 0)
        matches = sorted(
            (_model_match(query, entry) for entry in group),
            key=lambda match: (-match.score, match.distance, match.model),
        )[:limit]
        fitting = [match for match in matches if match.fits]
        reason = f"{fitting[0].model} fits" if fitting else "no model has fitting classes for all"
        return ModelsFound(tuple(matches), bool(fitting), reason, len(group))

    def classes(
        self, query: Specification, limit: int = 5, among: Collection[str] | None = None
    ) -> ClassesFound:
        """Finds a class of any model for each class of a task.

        Args:
            query: The task's specification.
            limit: Matches at most for each class.
            among: The names that are compared; None for all.
        """
        group = self._group(query, among)
        names = query.labels or ("",)
        if not group:
            empty = tuple(ClassesOfOne(name, ()) for name in names)
            return ClassesFound(empty, False, _nothing_comparable(query), 0)
        pairs = [_class_matches(query, entry) for entry in group]
        by_class = [
            [match for matches in pairs for match in matches[place]] for place in range(len(names))
        ]
        scores = np.array([[match.score for match in matches] for matches in by_class])
        found = []
        rows, columns = linear_sum_assignment(-scores)
        chosen = dict(zip(rows.tolist(), columns.tolist(), strict=True))
        for place, name in enumerate(names):
            order = np.argsort(-scores[place], kind="stable").tolist()
            if place in chosen:
                order = [chosen[place], *(one for one in order if one != chosen[place])]
            found.append(ClassesOfOne(name, tuple(by_class[place][one] for one in order[:limit])))
        lacking = [one.user_class for one in found if not (one.matches and one.matches[0].fits)]
        reason = (
            f"nothing fits {', '.join(lacking)}" if lacking else "every class has one that fits"
        )
        return ClassesFound(tuple(found), not lacking, reason, len(group))

    def _group(self, query: Specification, among: Collection[str] | None) -> list[_Entry]:
        entries = self._entries.get(query.space, {})
        return [entry for name, entry in entries.items() if among is None or name in among]


def _nothing_comparable(query: Specification) -> str:
    return f"no model is specified by {query.space.kind} of the same form"


def _class_points(found: Specification) -> list[tuple[Floats, Floats]]:
    """The points and weights of each class; of all where there are no classes."""
    groups = [found.points_of(label) for label in range(len(found.labels))] or [
        np.arange(len(found.weights))
    ]
    parts = []
    for places in groups:
        weights = found.weights[places]
        total = weights.sum()
        weights = weights / total if total > 0 else np.full(len(places), 1 / len(places))
        parts.append((found.points[places] * found.scale + found.offset, weights))
    return parts


def _mmd(left: tuple[Floats, Floats], right: tuple[Floats, Floats]) -> float:
    (a, v), (b, w) = left, right
    squared = v @ kernel(a, a) @ v + w @ kernel(b, b) @ w - 2 * v @ kernel(a, b) @ w
    return float(np.sqrt(max(float(squared), 0.0)))


def _class_matches(query: Specification, entry: _Entry) -> list[list[ClassMatch]]:
    own, theirs = _class_points(query), _class_points(entry.specification)
    found = []
    for name, part in zip(query.labels or ("",), own, strict=True):
        matches = []
        for label, other in enumerate(theirs):
            distance = _mmd(part, other)
            fits = distance**2 < entry.specification.spread
            called = entry.specification.labels[label] if entry.specification.labels else ""
            reason = f"distance {distance:.3f}"
            score = float(np.exp(-(distance**2) / max(entry.specification.spread, 1e-9)))
            matches.append(
                ClassMatch(name, entry.name, label, called, score, distance, fits, reason)
            )
        found.append(matches)
    return found


def _model_match(query: Specification, entry: _Entry) -> ModelMatch:
    pairs = _class_matches(query, entry)
    scores = np.array([[match.score for match in matches] for matches in pairs])
    rows, columns = linear_sum_assignment(-scores)
    chosen = tuple(pairs[row][column] for row, column in zip(rows, columns, strict=True))
    score = float(sum(match.score for match in chosen)) / len(pairs)
    fits = len(chosen) == len(pairs) and all(match.fits for match in chosen)
    whole = _mmd(
        (np.concatenate([p for p, _ in _class_points(query)]), query.weights),
        (
            np.concatenate([p for p, _ in _class_points(entry.specification)]),
            entry.specification.weights,
        ),
    )
    reason = f"{sum(match.fits for match in chosen)} of {len(pairs)} classes fit"
    return ModelMatch(entry.name, score, whole, chosen if query.labels else (), fits, reason)
