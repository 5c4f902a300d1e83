"""A deadline for every unary call, whether the client gave one or not."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from sliceandpack.error.v1 import error_reason_pb2 as pb

from svckit.errors import DeadlineExceeded
from svckit.interceptors.call import Call, CallInterceptor


class DeadlineInterceptor(CallInterceptor):
    """Cancels a unary call that takes too long; streams end by themselves or with their client.

    Args:
        default_seconds: The deadline of a call that came without one.
        maximum_seconds: The longest deadline; a later one is cut to it.
    """

    def __init__(self, default_seconds: float, maximum_seconds: float) -> None:
        self._default_seconds = default_seconds
        self._maximum_seconds = maximum_seconds

    @contextlib.asynccontextmanager
    async def around(self, call: Call) -> AsyncIterator[None]:
        """Bounds the call's time."""
        if not call.unary:
            yield
            return
        remaining = call.context.time_remaining()
        seconds = self._default_seconds if remaining is None else remaining
        seconds = min(seconds, self._maximum_seconds)
        scope = asyncio.timeout(seconds)
        try:
            async with scope:
                yield
        except TimeoutError as error:
            if not scope.expired():
                raise
            raise DeadlineExceeded(
                pb.ERROR_REASON_DEADLINE_EXCEEDED,
                f"The call was not done within {seconds:.3g} seconds.",
                advice="Allow the call more time, or try again when the server is less busy.",
            ) from error
