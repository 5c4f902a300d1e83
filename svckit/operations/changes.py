"""Word of a change, inside one process: nobody has to ask the tables whether there is one."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

SUBMITTED = "submitted"
"""The topic of work that a runner may have to look at."""


def events_of(operation_id: str) -> str:
    """Returns the topic of an operation's events."""
    return f"events/{operation_id}"


def cancellation_of(operation_id: str) -> str:
    """Returns the topic of the wish to end an operation."""
    return f"cancellation/{operation_id}"


class Changes:
    """Wakes whoever waits for a topic.

    A waiter clears its event, reads the tables, and then waits: a change between the reading and
    the waiting is not lost. Another process's changes are not heard of here, so that every waiter
    also reads again after a while.
    """

    def __init__(self) -> None:
        self._waiters: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    @contextmanager
    def listen(self, topic: str, event: asyncio.Event | None = None) -> Iterator[asyncio.Event]:
        """Yields an event that is set at each notice about `topic`, as long as the block lasts.

        Args:
            topic: What to hear of.
            event: The event to set, for one that hears of several topics.
        """
        heard = event if event is not None else asyncio.Event()
        self._waiters[topic].add(heard)
        try:
            yield heard
        finally:
            self._waiters[topic].discard(heard)
            if not self._waiters[topic]:
                del self._waiters[topic]

    def notify(self, topic: str) -> None:
        """Sets the events of all who listen to `topic`."""
        for event in self._waiters.get(topic, ()):
            event.set()
