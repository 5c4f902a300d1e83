"""How long to wait before the next attempt."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Backoff:
    """Waits that double with each failure in a row, and are never equal for two processes.

    Attributes:
        first: The longest first wait, in seconds.
        last: The longest wait of all, in seconds.
    """

    first: float
    last: float

    def after(self, failures: int) -> float:
        """Seconds to wait after so many failures in a row, at random in the upper half.

        Args:
            failures: At least 1.
        """
        # Past 2**30 the doubling has long met `last`; without the cap it would overflow one day.
        longest = min(self.last, self.first * 2.0 ** min(failures - 1, 30))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, no secret.
