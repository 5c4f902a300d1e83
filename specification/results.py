"""What a search answers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ClassMatch:
    """A class of a model for a class of the user.

    Attributes:
        user_class: The user's label; empty where the samples had none.
        model: The model's name.
        label: The class's index in the model.
        label_name: What the model calls it.
        score: How much speaks for it, from 0 to 1.
        distance: MMD of the two classes' samples.
        excess: The square of that, in units of what chance alone makes of samples of one class.
        fits: Whether it is as near as a class of the same things would be.
        reason: Why, in one sentence.
    """

    user_class: str
    model: str
    label: int
    label_name: str
    score: float
    distance: float
    excess: float
    fits: bool
    reason: str


@dataclass(frozen=True)
class ModelMatch:
    """A model for a user's task.

    Attributes:
        model: Its name.
        score: How much speaks for it, from 0 to 1: half the mean of its classes' scores, and a
            half where it fits.
        distance: MMD of the user's samples and the best mixture of the model's classes.
        excess: The mean of its classes'; without labels that of `distance`.
        classes: The model's class for each class of the user, in the user's order; at most one
            user's class for each. Empty for samples without labels.
        fits: Whether the task as a whole is as near as one of the same things would be.
        reason: Why, in one sentence.
    """

    model: str
    score: float
    distance: float
    excess: float
    classes: tuple[ClassMatch, ...]
    fits: bool
    reason: str


@dataclass(frozen=True)
class ModelsFound:
    """Models for a task, the best first.

    Attributes:
        matches: At most as many as were asked for.
        fits: Whether some of them fits the task.
        reason: Why not, or what fits, in one sentence.
        compared: Specifications in the same space as the task's.
    """

    matches: tuple[ModelMatch, ...]
    fits: bool
    reason: str
    compared: int


@dataclass(frozen=True)
class ClassesOfOne:
    """Classes for one class of the user.

    Attributes:
        user_class: The user's label; empty where the samples had none.
        matches: The first is the one chosen, in which no two of the user's classes are given the
            same; then the others, the best first.
    """

    user_class: str
    matches: tuple[ClassMatch, ...]


@dataclass(frozen=True)
class ClassesFound:
    """Classes of any models for a task.

    Attributes:
        classes: By class of the user, in the user's order.
        fits: Whether every class of the user has one that fits.
        reason: Why not, or what fits, in one sentence.
        compared: Specifications in the same space as the task's.
    """

    classes: tuple[ClassesOfOne, ...]
    fits: bool
    reason: str
    compared: int
