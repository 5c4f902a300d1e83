"""Which replicas are connected, and word of changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from svckit.operations.changes import Changes

DESIRED = "desired"
"""The topic of changes of what replicas are to serve."""


def reports_on(deployment_id: str) -> str:
    """Returns the topic of what replicas say of a deployment."""
    return f"reports/{deployment_id}"


class Board:
    """What is known of replicas only as long as the process lives.

    Attributes:
        changes: Where streams and switches hear of changes.
    """

    def __init__(self) -> None:
        self.changes = Changes()
        self._streams: Counter[str] = Counter()

    @property
    def connected(self) -> frozenset[str]:
        """The replicas that watch now."""
        return frozenset(self._streams)

    @contextmanager
    def watching(self, replica: str) -> Iterator[None]:
        """Counts a replica as connected, as long as the block lasts."""
        self._streams[replica] += 1
        try:
            yield
        finally:
            self._streams[replica] -= 1
            if not self._streams[replica]:
                del self._streams[replica]
