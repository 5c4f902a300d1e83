"""How patient an upload or a download is: attempts, pauses and deadlines."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from sliceandpack.error.v1 import error_reason_pb2 as pb

from svckit.clients.patience import PatiencePolicy
from svckit.errors import DeadlineExceeded

_T = TypeVar("_T")

OnProgress = Callable[[int, int], None]
"""Gets the bytes done and the bytes in all; after a break, done may step back."""


@dataclass(frozen=True)
class TransferPolicy(PatiencePolicy):
    """When a transfer is tried again and when it is given up.

    Attributes:
        idle_seconds: How long one step (a chunk, an answer) may take.
        chunk_bytes: The size of an uploaded chunk, at most 1 MiB.
    """

    idle_seconds: float = 60.0
    chunk_bytes: int = 2**18


async def step(awaitable: Awaitable[_T], policy: TransferPolicy) -> _T:
    """Awaits one step of a stream.

    Raises:
        DeadlineExceeded: It took longer than it may.
    """
    try:
        async with asyncio.timeout(policy.idle_seconds):
            return await awaitable
    except TimeoutError as error:
        raise DeadlineExceeded(
            pb.ERROR_REASON_DEADLINE_EXCEEDED,
            f"Nothing moved for {policy.idle_seconds:g} seconds.",
            advice="Check the connection to the server, then try again.",
        ) from error
