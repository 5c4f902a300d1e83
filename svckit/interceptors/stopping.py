"""Ends streams that would never end by themselves when the server stops."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator

import grpc
from sliceandpack.error.v1 import error_reason_pb2 as pb

from svckit.errors import Unavailable
from svckit.interceptors.call import (
    Context,
    Continuation,
    Handler,
    Payload,
    behaviour_of,
    rebuilt,
    responses,
)


class StoppingInterceptor(grpc.aio.ServerInterceptor):
    """Ends every ``Watch…`` stream of ours with SHUTTING_DOWN once the server stops.

    Other streams, such as downloads, end by themselves and are drained. A watch is only
    interrupted while it waits for its next message, so that no message is lost half-way, and its
    client resumes where it stood.
    """

    def __init__(self) -> None:
        self._stopping = False
        self._waits: set[asyncio.Timeout] = set()

    def stop(self) -> None:
        """Ends all watches now, and those that begin from now on at once."""
        if self._stopping:
            return
        self._stopping = True
        now = asyncio.get_running_loop().time()
        for wait in self._waits:
            wait.reschedule(now)

    async def intercept_service(
        self,
        continuation: Continuation,
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Wraps watches and leaves the rest as it is."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        # gRPC's own health watch ends itself, after it has said NOT_SERVING.
        is_watch = "/Watch" in method and not method.startswith("/grpc.")
        if handler is None or not handler.response_streaming or not is_watch:
            return handler
        return self._wrap(handler)

    def _wrap(self, handler: Handler) -> Handler:
        behaviour = behaviour_of(handler)

        async def watch(request: Payload, context: Context) -> AsyncGenerator[Payload, None]:
            async with contextlib.aclosing(responses(behaviour, request, context)) as events:
                while True:
                    async with self._until_stopping():
                        event = await anext(events, None)
                    if event is None:
                        return
                    yield event

        return rebuilt(handler, watch)

    @contextlib.asynccontextmanager
    async def _until_stopping(self) -> AsyncIterator[None]:
        scope = asyncio.timeout(0 if self._stopping else None)
        try:
            async with scope:
                self._waits.add(scope)
                try:
                    yield
                finally:
                    self._waits.discard(scope)
        except TimeoutError as error:
            if not scope.expired():
                raise
            raise Unavailable(
                pb.ERROR_REASON_SHUTTING_DOWN,
                "The server is stopping.",
                advice="Connect again and go on from the last event.",
            ) from error
