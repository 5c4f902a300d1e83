"""Progress of a run on standard error."""

from __future__ import annotations

import sys
import time

SHOWN_EVERY = 1.0
"""Seconds between two lines about one step."""


class Progress:
    """Counts steps and tells what is being done.

    Args:
        total: Steps of the whole run.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._start = time.monotonic()
        self._shown = 0.0

    def finish(self, what: str) -> None:
        """One more step is done."""
        self._done += 1
        self._show(what)

    def tell(self, what: str) -> None:
        """What the current step is at; at most one line in `SHOWN_EVERY` seconds."""
        if time.monotonic() - self._shown >= SHOWN_EVERY:
            self._show(what)

    def _show(self, what: str) -> None:
        now = time.monotonic()
        spent = now - self._start
        rest = spent / self._done * (self._total - self._done) if self._done else None
        eta = "?" if rest is None else f"{rest:.0f} s"
        print(
            f"[{self._done}/{self._total}, {spent:.0f} s, ETA {eta}] {what}",
            file=sys.stderr,
            flush=True,
        )
        self._shown = now
