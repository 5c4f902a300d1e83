"""How figures and names read in a table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp


@dataclass(frozen=True)
class Column:
    """One column of a table of messages.

    Attributes:
        title: What stands above it.
        text: What it says of one message.
        right: Whether it is set flush right, as figures are.
        words: Whether it may be broken between words where there is little room.
        spare: Whether it may be left out where there is less.
    """

    title: str
    text: Callable[[Any], str]
    right: bool = False
    words: bool = False
    spare: bool = False


def count(number: float) -> str:
    """Returns a count, its thousands apart: ``1,234,567``."""
    return f"{number:,.0f}"


def share(fraction: float) -> str:
    """Returns a fraction of [0, 1] as a percentage: ``93.3 %``."""
    return f"{100 * fraction:.1f} %"


def small(number: float) -> str:
    """Returns a figure that may be very small: ``0.0016``, ``2.3e-07``."""
    return f"{number:.2g}"


def ratio(after: float, before: float) -> str:
    """Returns what is left of a figure: ``26.0 %``; nothing where there was nothing."""
    return share(after / before) if before else "–"


def size(number: float) -> str:
    """Returns bytes in the unit that suits: ``12.4 MiB``."""
    for unit in ("B", "KiB", "MiB"):
        if abs(number) < 1024:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} GiB"


def duration(seconds: float) -> str:
    """Returns a time: ``4.2 s``, ``2 min 05 s``, ``1 h 02 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min"


def moment(timestamp: Timestamp) -> str:
    """Returns a moment in the local time zone, empty where it was not set."""
    if not timestamp.seconds:
        return ""
    return timestamp.ToDatetime(tzinfo=UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def last(name: str) -> str:
    """Returns the last part of a resource name."""
    return name.rpartition("/")[2]
