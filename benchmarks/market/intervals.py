"""A mean over a few seeds with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import mean, stdev
from typing import Self

from scipy.stats import t


@dataclass(frozen=True)
class Interval:
    """A mean and its 95 % interval by Student's t.

    Attributes:
        mean: The mean.
        low: Lower end; the mean itself of one value.
        high: Upper end.
        values: What it is the mean of.
    """

    mean: float
    low: float
    high: float
    values: tuple[float, ...]

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """The interval of values, at least one."""
        middle, count = mean(values), len(values)
        half = 0.0
        if count > 1:
            half = float(t.ppf(0.975, count - 1)) * stdev(values) / count**0.5
        return cls(middle, middle - half, middle + half, tuple(values))

    def to_json(self) -> dict[str, object]:
        """Plain JSON."""
        return asdict(self)
