"""Plots one line high, in the cells of a table: as wide as the column, text and dots unscaled."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from packer_svc.report.figures import power

MIDDLE = 'y="50%"'
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class LogAxis:
    """Powers of ten on a line.

    Attributes:
        low: The exponent at its left end.
        high: The exponent at its right end.
    """

    low: int
    high: int

    @classmethod
    def over(cls, values: Sequence[float]) -> "LogAxis":
        """An axis on which all positive values have their place, none of them at its left end."""
        shown = [value for value in values if 0 < value < math.inf] or [1.0]
        low, high = math.ceil(math.log10(min(shown))) - 1, math.ceil(math.log10(max(shown)))
        return cls(low, max(high, low + 1))

    def place(self, value: float) -> float:
        """Where a value is, in percent; what lies beyond an end is put there."""
        if value <= 0:
            return 0.0
        if math.isinf(value):
            return 100.0
        return min(100.0, max(0.0, 100 * (math.log10(value) - self.low) / (self.high - self.low)))

    def ticks(self) -> range:
        """The exponents that are marked: at most seven."""
        return range(self.low, self.high + 1, -(-(self.high - self.low) // 6))


def strip(content: str) -> str:
    """One line of a plot; the table says the same in figures."""
    return f'<svg class="strip" aria-hidden="true" focusable="false">{content}</svg>'


def lines(places: Sequence[float]) -> str:
    """Lines of a grid at places in percent."""
    return "".join(
        f'<line class="grid" x1="{place:.2f}%" x2="{place:.2f}%" y1="0" y2="100%"/>'
        for place in places
    )


def labels(at: Sequence[tuple[float, str]]) -> str:
    """The axis of a column: texts at places in percent."""
    texts = "".join(
        f'<text x="{place:.2f}%" {MIDDLE} dy=".35em" text-anchor="{_anchor(place)}">{text}</text>'
        for place, text in at
    )
    return strip(texts)


def _anchor(place: float) -> str:
    return "start" if place <= 0 else "end" if place >= 100 else "middle"


def log_labels(axis: LogAxis) -> str:
    """The axis of a logarithmic column."""
    return labels([(axis.place(10.0**tick), power(tick)) for tick in axis.ticks()])


def log_strip(value: float, axis: LogAxis, allowed: tuple[float, float], *, passed: bool) -> str:
    """A value against what is allowed.

    Args:
        value: The value.
        axis: Where it has its place.
        allowed: The tolerance of a probability of 0 and of one of 1.
        passed: Whether it is within it.
    """
    least, most = (axis.place(one) for one in allowed)
    width = most - least
    return strip(
        lines([axis.place(10.0**tick) for tick in axis.ticks()])
        + f'<rect class="allowed" width="{least:.2f}%" y="0" height="100%"/>'
        + f'<rect class="allowed some" x="{least:.2f}%" width="{width:.2f}%" y="0" height="100%"/>'
        + f'<line class="limit" x1="{least:.2f}%" x2="{least:.2f}%" y1="0" y2="100%"/>'
        + f'<circle class="{"good" if passed else "bad"}" cx="{axis.place(value):.2f}%" '
        + 'cy="50%" r="4.5"/>'
    )


def share_labels() -> str:
    """The axis of a column of shares."""
    return labels([(100 * one, f"{100 * one:.0f} %") for one in SHARES])


def share_strip(value: float | None, interval: tuple[float, float] | None = None) -> str:
    """A share of [0, 1] as a bar, its interval on it."""
    grid = lines([100 * one for one in SHARES])
    if value is None:
        return strip(grid)
    drawn = f'<rect class="bar" width="{100 * value:.2f}%" y="25%" height="50%"/>'
    if interval is not None:
        low, high = (100 * end for end in interval)
        drawn += f'<line class="interval" x1="{low:.2f}%" x2="{high:.2f}%" y1="50%" y2="50%"/>'
        drawn += "".join(
            f'<line class="interval" x1="{end:.2f}%" x2="{end:.2f}%" y1="35%" y2="65%"/>'
            for end in (low, high)
        )
    return strip(grid + drawn)


def ratio_strip(value: float | None, most: float) -> str:
    """A ratio as a bar, the reference as a line.

    Args:
        value: The ratio.
        most: The largest one of the column, at least 1.
    """
    reference = lines([0.0]) + lines([100 / most]).replace("grid", "limit")
    if value is None:
        return strip(reference)
    kind = "bar" if value <= 1 else "bar over"
    width = 100 * value / most
    return strip(f'<rect class="{kind}" width="{width:.2f}%" y="22%" height="56%"/>' + reference)
