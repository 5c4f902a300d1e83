"""Samples of the market's other models: which models they are taken from, and what is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from svckit.input_spec import InputSpec

MOST_MODELS = 16
"""Other models whose samples are read, at most."""


@dataclass(frozen=True)
class OtherModel:
    """A model that is fed like the one at hand.

    Attributes:
        name: Its resource name.
        samples_digest: Its samples.
        sample_count: How many they are.
        inputs: What it is fed.
        labels: The labels of its classes.
    """

    name: str
    samples_digest: str
    sample_count: int
    inputs: tuple[InputSpec, ...]
    labels: frozenset[str]


@dataclass(frozen=True)
class OtherSamples:
    """Which samples of other models are read: the same for all that rests on one measurement.

    They are an artifact of their own, not references to the other models' samples. So a deleted
    model takes its samples along but for these few, a plan need not hold sixteen files of which it
    reads a little, and slicing makes no choice that could come out another way.

    Attributes:
        digest: Their inputs as npz, by the names that the model at hand has for them.
        size_bytes: Its size.
        models: The resource names of the models that they were taken from.
        count: How many samples they are.
    """

    digest: str
    size_bytes: int
    models: tuple[str, ...]
    count: int

    def to_json(self) -> dict[str, Any]:
        """Returns plain data that `from_json` reads back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Reads what `to_json` wrote."""
        return cls(**{**data, "models": tuple(data["models"])})


def most_useful(labels: Sequence[str], models: Sequence[OtherModel]) -> tuple[OtherModel, ...]:
    """Chooses the models that show most classes which were not shown before.

    Args:
        labels: The labels of the model at hand.
        models: The others.

    Returns:
        At most `MOST_MODELS` of them, those with more new labels first, then by their order.
    """
    known, left, chosen = set(labels), list(models), list[OtherModel]()
    while left and len(chosen) < MOST_MODELS:
        best = max(left, key=lambda model: len(model.labels - known))
        left.remove(best)
        chosen.append(best)
        known |= best.labels
    return tuple(chosen)
