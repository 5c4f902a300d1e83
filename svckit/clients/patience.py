"""When a failed call is tried again: what passes, how often, and with what pauses between."""

import asyncio
import random
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Final, TypeVar

import grpc
from sliceandpack.error.v1 import error_reason_pb2 as pb

from svckit.errors import Aborted, Cancelled, Internal, ServiceError, Unavailable
from svckit.status import from_rpc_error

T = TypeVar("T")

_RESUMABLE: Final = frozenset(
    {pb.ERROR_REASON_WRITE_OFFSET_INVALID, pb.ERROR_REASON_DEADLINE_EXCEEDED}
)


@dataclass(frozen=True)
class PatiencePolicy:
    """When something is tried again and when it is given up.

    Attributes:
        attempts: How many attempts without any progress there are.
        first_pause_seconds: The longest first pause; each further one may be twice as long.
        longest_pause_seconds: The longest pause.
    """

    attempts: int = 6
    first_pause_seconds: float = 0.2
    longest_pause_seconds: float = 10.0


class Patience:
    """Counts the attempts that brought nothing, and pauses between them with jitter.

    Args:
        policy: The limits.
    """

    def __init__(self, policy: PatiencePolicy) -> None:
        self._policy = policy
        self._failures = 0

    def progressed(self) -> None:
        """Starts counting anew: something came through."""
        self._failures = 0

    async def pause(self, error: ServiceError) -> None:
        """Waits before the next attempt.

        Args:
            error: What the last attempt failed with.

        Raises:
            ServiceError: `error`, if it is not one that passes or the attempts are used up.
        """
        self._failures += 1
        if not passes(error) or self._failures >= self._policy.attempts:
            raise error
        longest = self._policy.first_pause_seconds * 2 ** (self._failures - 1)
        longest = min(longest, self._policy.longest_pause_seconds)
        await asyncio.sleep(longest * random.uniform(0.5, 1.0))  # noqa: S311


def passes(error: ServiceError) -> bool:
    """Tells whether the same transfer can succeed when it is resumed."""
    # CANCELLED comes from a server that stops: who cancels here gets asyncio's own exception.
    if isinstance(error, Unavailable | Aborted | Cancelled):
        return True
    return is_hidden(error) or error.reason in _RESUMABLE or error.retry_seconds is not None


def is_hidden(error: ServiceError) -> bool:
    """Tells whether gRPC made the error itself, in place of what the server said.

    A service's own INTERNAL always has a reason.
    """
    return isinstance(error, Internal) and error.reason == pb.ERROR_REASON_UNSPECIFIED


async def answer(call: Awaitable[T]) -> T:
    """Awaits the answer of a call.

    Raises:
        ServiceError: The call failed.
    """
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        raise from_rpc_error(error) from error
