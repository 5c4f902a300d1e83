"""Types of command line arguments: what argparse reads, or refuses by one sentence."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Collection
from typing import TypeVar

T = TypeVar("T")


def count(text: str) -> int:
    """Reads a whole number above 0."""
    found = int(text)
    if found < 1:
        raise argparse.ArgumentTypeError(f"{found} is not above 0")
    return found


def seed(text: str) -> int:
    """Reads a whole number from 0 on."""
    found = int(text)
    if found < 0:
        raise argparse.ArgumentTypeError(f"{found} is below 0")
    return found


def factor(text: str) -> float:
    """Reads a finite number above 0."""
    found = float(text)
    if not 0 < found < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not above 0, or not finite")
    return found


def share(text: str) -> float:
    """Reads a number above 0 and at most 1."""
    found = float(text)
    if not 0 < found <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0 and at most 1")
    return found


def one_of(names: Collection[str]) -> Callable[[str], str]:
    """Makes a reader of one of some names."""

    def read(text: str) -> str:
        if text not in names:
            raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(names)}")
        return text

    return read


def listed(each: Callable[[str], T], separator: str | None = ",") -> Callable[[str], tuple[T, ...]]:
    """Makes a reader of several values, at least one.

    Args:
        each: Reads one.
        separator: What stands between two; white space where None.
    """

    def read(text: str) -> tuple[T, ...]:
        parts = text.split(separator)
        try:
            found = tuple(each(part) for part in parts)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r}: {error}") from error
        if not found:
            raise argparse.ArgumentTypeError("name at least one")
        return found

    return read
