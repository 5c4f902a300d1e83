"""Finds work in the tables and runs it, a few operations at a time."""

import asyncio
import uuid
from datetime import datetime

import structlog

from svckit.clock import wait_until_set
from svckit.database import DATABASE_FAULTS
from svckit.operations.attempt import Attempt
from svckit.operations.backing import Backing
from svckit.operations.changes import SUBMITTED
from svckit.operations.claims import Claims
from svckit.operations.job import Handler, Registration, RequestT
from svckit.operations.leases import Lease, Leases

_log = structlog.stdlib.get_logger(__name__)

# The shortest pause between two looks at the tables, in seconds.
_LEAST_PAUSE = 0.05


class Runner:
    """Runs operations while it is entered as a context manager.

    Operations that a dead process left behind go on here: at once where no other process can
    have the database open, else when their leases have run out.

    Args:
        backing: The ground, the same as the store's: word of new work comes through it.
    """

    def __init__(self, backing: Backing) -> None:
        self._owner = f"{backing.database.instance}/{uuid.uuid4().hex[:8]}"
        self._backing = backing
        self._clock = backing.clock
        self._settings = backing.settings
        self._claims = Claims(backing)
        self._leases = Leases(backing)
        self._registrations: dict[str, Registration] = {}
        self._attempts: dict[str, tuple[Attempt, asyncio.Task[None]]] = {}
        self._woken = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._draining = False
        self._loop: asyncio.Task[None] | None = None

    def register(
        self,
        kind: str,
        handler: Handler[RequestT],
        request_type: type[RequestT],
        *,
        seconds: float | None = None,
        retry: bool = True,
    ) -> None:
        """Says who does a kind of work.

        Args:
            kind: The kind, as in `OperationStore.submit`.
            handler: Does it; see `Handler`.
            request_type: The class of the request.
            seconds: How long one attempt may take; None for as long as it wants.
            retry: Whether an attempt that ended with `Unavailable` is followed by another; one
                that a crash ended always is.

        Raises:
            ValueError: If the kind has a handler already.
        """
        if kind in self._registrations:
            raise ValueError(f"{kind} has a handler already")
        self._registrations[kind] = Registration(handler, request_type, seconds, retry)

    async def __aenter__(self) -> "Runner":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.drain()

    async def start(self) -> None:
        """Starts to take work."""
        voided = await self._claims.void_those_of_the_dead()
        if voided:
            _log.info("operations_left_behind", count=voided)
        self._loop = asyncio.create_task(self._run(), name="operations")

    async def drain(self) -> None:
        """Takes no more work, lets what runs end, and puts back what does not; may be repeated.

        Returns after `settings.drain` and the graces of cancelling at the latest. Nothing is
        lost: the next process goes on with what was put back.
        """
        self._draining = True
        self._woken.set()
        if self._loop is not None:
            await self._loop
        await wait_until_set(self._idle, self._clock, self._settings.drain)
        for attempt, _ in self._attempts.values():
            attempt.drain()
        graces = self._settings.cancel_grace + self._settings.abort_grace
        await wait_until_set(self._idle, self._clock, self._settings.abort_grace + graces)
        stuck = [task for _, task in self._attempts.values()]
        for task in stuck:
            task.cancel()
        await asyncio.gather(*stuck, return_exceptions=True)

    async def _run(self) -> None:
        with self._backing.changes.listen(SUBMITTED, self._woken):
            while not self._draining:
                self._woken.clear()
                try:
                    pause = await self._take_all()
                    await self._backing.observe_all()
                except DATABASE_FAULTS:
                    # A full disk or a lost connection passes; the next look tries again.
                    _log.exception("claim_failed")
                    pause = self._settings.poll
                await wait_until_set(self._woken, self._clock, pause)

    async def _take_all(self) -> float:
        """Starts as much as there is room for; returns when to look again, in seconds."""
        while len(self._attempts) < self._settings.concurrency:
            lease = await self._claims.claim(self._owner, self._registrations, self._attempts)
            if lease is None:
                due = await self._claims.next_due(self._registrations, self._attempts)
                return self._pause_until(due)
            self._begin(lease)
        return self._settings.poll

    def _pause_until(self, due: datetime | None) -> float:
        if due is None:
            return self._settings.poll
        pause = (due - self._clock.now()).total_seconds()
        return min(max(pause, _LEAST_PAUSE), self._settings.poll)

    def _begin(self, lease: Lease) -> None:
        attempt = Attempt(lease, self._registrations[lease.kind], self._leases, self._backing)
        task = asyncio.create_task(attempt.run(), name=f"operation {lease.operation_id}")
        self._attempts[lease.operation_id] = attempt, task
        self._idle.clear()

        def ended(task: asyncio.Task[None]) -> None:
            del self._attempts[lease.operation_id]
            if not self._attempts:
                self._idle.set()
            self._woken.set()
            if not task.cancelled() and task.exception() is not None:
                _log.error("attempt_failed", exc_info=task.exception())

        task.add_done_callback(ended)
