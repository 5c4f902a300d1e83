"""The expected rest of an operation's time."""

from collections import deque
from datetime import datetime

from sliceandpack.operation.v1.operation_events_pb2 import Progress

# Enough to even out parts of unequal size, few enough to follow a change of pace.
_HISTORY = 64

UNKNOWN = -1.0
"""The ETA while there is nothing to judge by."""


class ProgressMeter:
    """Judges from the pace of the last parts how long the remaining ones will take.

    The pace is measured from the first report on, so that parts which an earlier attempt did
    count as done but not as fast.
    """

    def __init__(self) -> None:
        self._history: deque[tuple[datetime, int]] = deque(maxlen=_HISTORY)
        self._total = 0

    def measure(self, progress: Progress, now: datetime) -> Progress:
        """Returns a copy of `progress` with `eta_seconds`, negative while it is unknown."""
        if progress.total != self._total or (
            self._history and progress.done < self._history[-1][1]
        ):
            self._history.clear()
            self._total = progress.total
        if not self._history or progress.done > self._history[-1][1]:
            self._history.append((now, progress.done))
        measured = Progress()
        measured.CopyFrom(progress)
        measured.eta_seconds = self._eta(progress, now)
        return measured

    def _eta(self, progress: Progress, now: datetime) -> float:
        if progress.total <= 0:
            return UNKNOWN
        if progress.done >= progress.total:
            return 0.0
        (first, done_first), (last, done_last) = self._history[0], self._history[-1]
        if done_last <= done_first:
            return UNKNOWN
        pace = (last - first).total_seconds() / (done_last - done_first)
        rest = pace * (progress.total - progress.done)
        return max(rest - (now - last).total_seconds(), 0.0)
