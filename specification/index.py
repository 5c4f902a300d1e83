"""The search among many specifications.

By the means of classes, one product of two matrices, everything is shortened to a few models; those
are compared by MMD, class by class, and by their proxies.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from specification.candidates import Candidates, candidates
from specification.checks import validate
from specification.group import Group
from specification.model import Places, Space, Specification
from specification.results import (
    ClassesFound,
    ClassesOfOne,
    ClassMatch,
    ModelMatch,
    ModelsFound,
)
from specification.scoring import FITS, told
from specification.solvers import assigned
from specification.threads import in_one_thread

SHORTLIST: Final = 64
"""Models that are compared by MMD."""

_GIVEN: Final = "the market has fewer classes than the task: each is given to another one"


class Index:
    """Specifications by name; a task finds models and classes among those in its own space.

    Searches may run side by side, but not beside `add` and `remove`.

    Args:
        entries: Names and specifications to begin with.
    """

    def __init__(self, entries: Iterable[tuple[str, Specification]] = ()) -> None:
        self._groups: dict[Space, Group] = {}
        self._spaces: dict[str, Space] = {}
        for name, specification in entries:
            self.add(name, specification)

    def __len__(self) -> int:
        return len(self._spaces)

    @in_one_thread
    def add(self, name: str, specification: Specification) -> None:
        """Adds a specification, or replaces the one of that name.

        Args:
            name: The model's.
            specification: One that `validate` has nothing against, as of `from_bytes` and `make`.
        """
        self.remove(name)
        self._groups.setdefault(specification.space, Group()).add(name, specification)
        self._spaces[name] = specification.space

    def remove(self, name: str) -> None:
        """Takes a specification away, if there is one of that name."""
        space = self._spaces.pop(name, None)
        if space is not None:
            self._groups[space].remove(name)

    @in_one_thread
    def settle(self) -> None:
        """Does now what the first search after changes would wait for."""
        for group in self._groups.values():
            if group:
                group.table()

    @in_one_thread
    def models(
        self, query: Specification, limit: int = 10, among: Collection[str] | None = None
    ) -> ModelsFound:
        """Finds models for a task.

        Args:
            query: The task's specification.
            limit: Matches at most.
            among: The names that may be found; None for all.

        Raises:
            SpecificationError: As `validate`, for the query.
        """
        found = self._candidates(query, among)
        if found is None:
            return ModelsFound((), False, self._nothing(query, among), 0)
        ranked = sorted(
            (_ranked(query, found, place) for place in range(len(found.kept))),
            key=lambda one: (-one.score, one.excess, found.kept[one.place].name),
        )
        matches = tuple(_model_match(query, found, one) for one in ranked[:limit])
        fitting = [match.model for match in matches if match.fits]
        reason = (
            f"{fitting[0]} fits the task"
            if fitting
            else "no model fits: the nearest classes of each are farther than chance allows"
        )
        return ModelsFound(matches, bool(fitting), reason, found.compared)

    @in_one_thread
    def classes(
        self, query: Specification, limit: int = 5, among: Collection[str] | None = None
    ) -> ClassesFound:
        """Finds a class of any model for each class of a task.

        Args:
            query: The task's specification.
            limit: Matches at most for each class.
            among: The names that may be found; None for all.

        Raises:
            SpecificationError: As `validate`, for the query.
        """
        names = query.labels or ("",)
        found = self._candidates(query, among)
        if found is None:
            nothing = tuple(ClassesOfOne(name, ()) for name in names)
            return ClassesFound(nothing, False, self._nothing(query, among), 0)
        # Of equal scores the nearer one.
        worth = found.scores - 1e-6 * np.minimum(found.excess, 1e5)
        rows, columns = assigned(worth)
        chosen = dict(zip(rows.tolist(), columns.tolist(), strict=True))
        listed = []
        for place, name in enumerate(names):
            order = [int(one) for one in np.argsort(-worth[place], kind="stable")[: limit + 1]]
            first = [chosen[place]] if place in chosen else []
            order = first + [one for one in order if one not in first]
            matches = tuple(_class_match(query, found, place, one) for one in order[:limit])
            if place not in chosen:
                matches = tuple(replace(one, fits=False, reason=_GIVEN) for one in matches)
            listed.append(ClassesOfOne(name, matches))
        lacking = [one.user_class for one in listed if not (one.matches and one.matches[0].fits)]
        reason = (
            "nothing fits " + (", ".join(lacking) or "the samples")
            if lacking
            else "every class has one that fits"
        )
        return ClassesFound(tuple(listed), not lacking, reason, found.compared)

    def _candidates(self, query: Specification, among: Collection[str] | None) -> Candidates | None:
        validate(query)
        group = self._groups.get(query.space)
        return candidates(query, group, SHORTLIST, among) if group else None

    def _nothing(self, query: Specification, among: Collection[str] | None) -> str:
        if not self._spaces:
            return "the market is empty"
        if among is not None and not among:
            return "no model of the market is as asked for"
        count = len(self) if among is None else len(among)
        asked = "" if among is None else " asked about"
        return f"none of {count} models{asked} is of {query.space.kind} inputs of this form"


@dataclass(frozen=True, eq=False)
class _Ranked:
    """How well a model serves a task.

    Attributes:
        place: The model's among the candidates.
        score: As `ModelMatch.score`.
        excess: As `ModelMatch.excess`.
        fits: As `ModelMatch.fits`.
        rows: The user's classes that are given one of the model's.
        columns: The classes that they are given, among those of all candidates.
    """

    place: int
    score: float
    excess: float
    fits: bool
    rows: Places
    columns: Places


def _ranked(query: Specification, found: Candidates, place: int) -> _Ranked:
    if not query.labels:
        excess = found.whole(place)[1]
        nothing = np.empty(0, np.int64)
        score = float(np.exp(-max(excess - 1.0, 0.0)))
        return _Ranked(place, score, excess, excess <= FITS, nothing, nothing)
    own = found.columns(place)
    worth = found.scores[:, own] - 1e-3 * np.minimum(found.excess[:, own], 1e5)
    rows, columns = assigned(worth)
    columns = columns + own.start
    excess = float(found.excess[rows, columns].mean())
    nearby = excess <= FITS or found.near[rows, columns].all()
    fits = len(rows) == len(query.labels) and bool(nearby)
    # Half for the task as a whole: one class that is nearer elsewhere is no reason against it.
    score = 0.5 * float(found.scores[rows, columns].sum()) / len(query.labels) + 0.5 * fits
    return _Ranked(place, score, excess, fits, rows, columns)


def _model_match(query: Specification, found: Candidates, ranked: _Ranked) -> ModelMatch:
    excess, rows, columns = ranked.excess, ranked.rows, ranked.columns
    if query.labels:
        near = int(found.near[rows, columns].sum())
        reason = f"{near} of {len(query.labels)} classes are as near as their own would be"
        if len(rows) < len(query.labels):
            reason += f"; the model has only {len(rows)} classes"
    else:
        reason = f"all samples together are {excess:.2f} times as far as chance alone makes them"
    return ModelMatch(
        model=found.kept[ranked.place].name,
        score=ranked.score,
        distance=float(np.sqrt(found.whole(ranked.place)[0])),
        excess=excess,
        classes=tuple(
            _class_match(query, found, row, column)
            for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
        ),
        fits=ranked.fits,
        reason=reason,
    )


def _class_match(query: Specification, found: Candidates, row: int, column: int) -> ClassMatch:
    place = int(found.model_of[column])
    model, label = found.kept[place], column - int(found.starts[place])
    excess = float(found.excess[row, column])
    near = bool(found.near[row, column])
    fits = near and bool(found.scores[row, column] > 0)
    reason = told(excess, near=near)
    if near and not fits:
        reason = "another class of the market is nearer by far"
    return ClassMatch(
        user_class=query.labels[row] if query.labels else "",
        model=model.name,
        label=label,
        label_name=model.labels[label] if model.labels else "",
        score=float(found.scores[row, column]),
        distance=float(np.sqrt(found.squared[row, column])),
        excess=excess,
        fits=fits,
        reason=reason,
    )
