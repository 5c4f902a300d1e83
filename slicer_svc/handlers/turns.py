"""Lets work that would make the same things go one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary


class Turns:
    """One holder of a key at a time, within this process."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def of(self, key: str) -> AsyncIterator[None]:
        """Waits for the turn of a key and holds it."""
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:
            yield
