"""The search among many specifications.

By the means of classes, one product of two matrices, everything is shortened to a few models; those
are compared by MMD, class by class, and by their proxies.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Final

import numpy as np

from specification.candidates import Candidates, candidates
from specification.checks import validate
from specification.group import Group
from specification.model import Space, Specification
from specification.results import (
    ClassesFound,
    ClassesOfOne,
    ClassMatch,
    ModelMatch,
    ModelsFound,
)
from specification.scoring import FITS, told
from specification.solvers import assigned

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

    def add(self, name: str, specification: Specification) -> None:
        """Adds a specification, or replaces the one of that name.

        Raises:
            SpecificationError: As `validate`.
        """
        validate(specification)
        self.remove(name)
        self._groups.setdefault(specification.space, Group()).add(name, specification)
        self._spaces[name] = specification.space

    def remove(self, name: str) -> None:
        """Takes a specification away, if there is one of that name."""
        space = self._spaces.pop(name, None)
        if space is not None:
            self._groups[space].remove(name)

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
        matches = [_model_match(query, found, place) for place in range(len(found.names))]
        matches.sort(key=lambda match: (-match.score, match.excess, match.model))
        fitting = [match.model for match in matches[:limit] if match.fits]
        reason = (
            f"{fitting[0]} fits the task"
            if fitting
            else "no model fits: the nearest classes of each are farther than chance allows"
        )
        return ModelsFound(tuple(matches[:limit]), bool(fitting), reason, found.compared)

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


def _class_match(query: Specification, found: Candidates, row: int, column: int) -> ClassMatch:
    model, label = int(found.model_of[column]), int(found.label_of[column])
    excess = float(found.excess[row, column])
    specification = found.specifications[model]
    near = bool(found.near[row, column])
    fits = near and bool(found.scores[row, column] > 0)
    reason = told(excess, near=near)
    if near and not fits:
        reason = "another class of the market is nearer by far"
    return ClassMatch(
        user_class=query.labels[row] if query.labels else "",
        model=found.names[model],
        label=label,
        label_name=specification.labels[label] if specification.labels else "",
        score=float(found.scores[row, column]),
        distance=float(np.sqrt(found.squared[row, column])),
        excess=excess,
        fits=fits,
        reason=reason,
    )


def _model_match(query: Specification, found: Candidates, place: int) -> ModelMatch:
    columns = np.flatnonzero(found.model_of == place)
    whole = float(found.whole[place])
    if not query.labels:
        excess = float(found.whole_excess[place])
        fits = excess <= FITS
        reason = f"all samples together are {excess:.2f} times as far as chance alone makes them"
        score = float(np.exp(-max(excess - 1.0, 0.0)))
        return ModelMatch(found.names[place], score, np.sqrt(whole), excess, (), fits, reason)
    worth = found.scores[:, columns] - 1e-3 * np.minimum(found.excess[:, columns], 1e5)
    rows, places = assigned(worth)
    chosen = tuple(
        _class_match(query, found, int(row), int(columns[column]))
        for row, column in zip(rows, places, strict=True)
    )
    excess = float(np.mean([match.excess for match in chosen]))
    complete = len(chosen) == len(query.labels)
    nearby = found.near[rows, columns[places]]
    fits = complete and bool(excess <= FITS or nearby.all())
    near = int(nearby.sum())
    reason = f"{near} of {len(query.labels)} classes are as near as their own would be"
    if not complete:
        reason += f"; the model has only {len(columns)} classes"
    # Half for the task as a whole: one class that is nearer elsewhere is no reason against it.
    score = 0.5 * float(sum(match.score for match in chosen)) / len(query.labels) + 0.5 * fits
    return ModelMatch(found.names[place], score, np.sqrt(whole), excess, chosen, fits, reason)
