"""Long work that the packer has the slicer do, found again by a later attempt."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

import grpc
from google.longrunning.operations_pb2 import Operation
from google.protobuf.message import Message

from packer_svc.slicer_client import reached
from svckit.clients.operations import OnEvent, Operations, response_of
from svckit.errors import NotFound, ServiceError
from svckit.operations.job import JobContext

M = TypeVar("M", bound=Message)

# How long the slicer may take to be told that nobody waits any more, in seconds.
_CANCEL_SECONDS = 2.0


@dataclass(frozen=True)
class Wanted(Generic[M]):
    """Work to be done.

    Attributes:
        key: What it is, as text: equal for equal work of one operation, whichever attempt asks.
        ask: Asks for it under a request id.
        kind: The class of its response.
    """

    key: str
    ask: Callable[[str], Awaitable[Operation]]
    kind: type[M]


class SlicerWork:
    """The slicer's operations as the packer sees them.

    Args:
        channel: A channel to the slicer.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._operations = Operations(channel)

    async def run(
        self,
        context: JobContext,
        wanted: Wanted[M],
        on_begun: Callable[[str], Awaitable[None]],
        on_event: OnEvent | None = None,
    ) -> M:
        """Has work done and waits for it.

        An attempt after a crash finds what an earlier one asked for: each attempt has a request id
        of its own, and goes through those before it, whose answers are there already.

        Args:
            context: The operation's; when it is to end, the slicer is told to end as well.
            wanted: The work.
            on_begun: Gets the name of the slicer's operation before it is waited for.
            on_event: Gets its events.

        Raises:
            Unavailable: SLICER_UNAVAILABLE.
            ServiceError: The slicer refused, or the work failed.
        """
        for number in range(context.job.attempt):
            last = number == context.job.attempt - 1
            operation = await reached(wanted.ask(_request_id(context, wanted.key, number)))
            await on_begun(operation.name)
            ended = await self._awaited(context, operation.name, on_event)
            if last or not ended.HasField("error"):
                return response_of(ended, wanted.kind)
        raise AssertionError("attempts are counted from 1")

    async def ended(self, name: str) -> Operation | None:
        """Ends an operation that nobody waits for.

        Args:
            name: The slicer's operation.

        Returns:
            How it stands; None if the slicer does not know it any more.

        Raises:
            Unavailable: SLICER_UNAVAILABLE.
        """
        with suppress(NotFound):
            await reached(self._operations.cancel(name))
            return await reached(self._operations.get(name))
        return None

    async def _awaited(self, context: JobContext, name: str, on_event: OnEvent | None) -> Operation:
        waiting = asyncio.ensure_future(reached(self._operations.wait(name, on_event)))
        stopping = asyncio.ensure_future(context.cancelled.wait())
        try:
            await asyncio.wait({waiting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                return waiting.result()
            raise asyncio.CancelledError
        except asyncio.CancelledError:
            await self._cancel(name)
            raise
        finally:
            for task in (waiting, stopping):
                task.cancel()
            await asyncio.gather(waiting, stopping, return_exceptions=True)

    async def _cancel(self, name: str) -> None:
        # What does not get through is made up for by `OrderedWork`.
        with suppress(ServiceError, TimeoutError):
            async with asyncio.timeout(_CANCEL_SECONDS):
                await self._operations.cancel(name)


def _request_id(context: JobContext, key: str, number: int) -> str:
    text = f"{context.job.operation}\n{key}\n{number}"
    return f"packer-{hashlib.sha256(text.encode()).hexdigest()[:40]}"
