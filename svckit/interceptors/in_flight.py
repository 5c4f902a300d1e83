"""Knows when the last call has really ended."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from svckit.interceptors.call import Call, CallInterceptor


class InFlightInterceptor(CallInterceptor):
    """Counts the calls whose method still runs.

    gRPC forgets a call whose client is gone, and a stopping server does not wait for what the
    method does then; it may still use what the process is about to close.
    """

    def __init__(self) -> None:
        self._count = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @contextlib.asynccontextmanager
    async def around(self, _call: Call) -> AsyncIterator[None]:
        """Counts the call from its start to the end of its method."""
        self._count += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._count -= 1
            if not self._count:
                self._idle.set()

    async def until_idle(self) -> None:
        """Waits until no method runs."""
        await self._idle.wait()
