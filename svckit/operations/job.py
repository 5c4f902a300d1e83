"""What a handler sees of the operation that it works for."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from google.protobuf.message import Message
from sliceandpack.operation.v1.operation_events_pb2 import Progress

from svckit.operations.leases import Lease, Leases
from svckit.operations.messages import to_name

RequestT = TypeVar("RequestT", bound=Message)


@dataclass(frozen=True)
class Job:
    """The work itself.

    Attributes:
        kind: Which handler runs it.
        operation: The operation's name: a key under which whatever an earlier attempt made can
            be found again.
        principal: Who asked.
        attempt: Which start this is, from 1 on.
        deadline: When the attempt is ended with DEADLINE_EXCEEDED; None if never.
    """

    kind: str
    operation: str
    principal: str
    attempt: int
    deadline: datetime | None


class JobContext:
    """A handler's way to say how far it is, and to learn that it should end.

    Attributes:
        job: The work.
        cancelled: Is set when the attempt is to end: someone wants it, it took too long, or the
            service stops. The handler then ends by raising, whatever it likes; its task is
            cancelled soon. If it returns a response nevertheless, the operation counts as done:
            never return half of one.
    """

    def __init__(self, job: Job, lease: Lease, leases: Leases, on_note: Callable[[], None]) -> None:
        self.job = job
        self.cancelled = asyncio.Event()
        self._lease = lease
        self._on_note = on_note
        self._leases = leases
        self._scratch = lease.scratch
        self._progress: Progress | None = None

    @property
    def state(self) -> dict[str, Any]:
        """A copy of what was saved last, by this attempt or an earlier one; empty at first."""
        return deepcopy(dict(self._scratch))

    async def save(self, state: Mapping[str, Any]) -> None:
        """Keeps JSON-like `state`; once this returns, an attempt after a crash finds it.

        Raises:
            LeaseLostError: If another process works on the operation now; let it through.
        """
        kept = deepcopy(dict(state))
        await self._leases.save(self._lease, kept)
        self._scratch = kept

    def note(self, progress: Progress) -> None:
        """Says how far the work is; the newest word is written as often as is allowed.

        `eta_seconds` need not be given: it is judged from `done` and `total`.
        """
        first, self._progress = self._progress is None, progress
        if first:
            self._on_note()

    async def report(self, progress: Progress) -> None:
        """Does the same as `note`, and lets other tasks run."""
        self.note(progress)
        await asyncio.sleep(0)

    @property
    def unwritten(self) -> bool:
        """Whether something was noted since `take_progress`."""
        return self._progress is not None

    def take_progress(self) -> Progress:
        """Returns what was noted last, for whoever writes it."""
        assert self._progress is not None, "look at `unwritten` first"
        progress, self._progress = self._progress, None
        return progress


Handler = Callable[[JobContext, RequestT], Awaitable[Message]]
"""Does the work: returns the response, or raises what becomes the operation's error.

It is started again after a crash with the same request, and finds what it saved in
`JobContext.state`; whatever it made outside must bear being made again. An `Unavailable` error
means that the attempt can be repeated, unless the handler was registered without retries.
"""


@dataclass(frozen=True)
class Registration:
    """A handler with what is known of its kind.

    Attributes:
        handler: The handler.
        request_type: The class of its request.
        seconds: How long one attempt may take; None for as long as it wants.
        retry: Whether an attempt that ended with `Unavailable` is followed by another.
    """

    handler: Callable[[JobContext, Any], Awaitable[Message]]
    request_type: type[Message]
    seconds: float | None
    retry: bool


def to_job(lease: Lease, deadline: datetime | None) -> Job:
    """Returns the work that a lease is about."""
    return Job(
        kind=lease.kind,
        operation=to_name(lease.operation_id),
        principal=lease.principal,
        attempt=lease.attempt,
        deadline=deadline,
    )
