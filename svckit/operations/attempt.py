"""One attempt at one operation, from the claim to its end."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from enum import StrEnum

import grpc
import structlog
from google.protobuf.message import Message
from sliceandpack.error.v1 import error_reason_pb2 as reasons

from svckit.clock import wait_until_set
from svckit.database import DATABASE_FAULTS
from svckit.errors import DeadlineExceeded, Internal, from_exception
from svckit.operations.backing import Backing
from svckit.operations.changes import cancellation_of
from svckit.operations.job import JobContext, Registration, to_job
from svckit.operations.leases import Lease, LeaseLostError, Leases
from svckit.operations.messages import pack, to_name, unpack
from svckit.operations.progress import ProgressMeter
from svckit.status import to_status

_log = structlog.stdlib.get_logger(__name__)

# How often the end of an operation is written if the database refuses, before it is left to the
# next attempt, and the pause in between in seconds.
_END_TRIES = 3
_END_PAUSE = 0.5


class Ending(StrEnum):
    """Why an attempt ends from outside."""

    CANCELLED = "cancelled"
    DRAINED = "drained"
    DEADLINE = "deadline"
    LEASE_LOST = "lease_lost"


class Attempt:
    """Runs a handler, keeps its lease alive, and writes how it ended.

    Args:
        lease: The operation.
        registration: Its handler.
        leases: Writes what becomes of the operation.
        backing: The ground.
    """

    def __init__(
        self, lease: Lease, registration: Registration, leases: Leases, backing: Backing
    ) -> None:
        now = backing.clock.now()
        self._lease = lease
        self._registration = registration
        self._leases = leases
        self._changes = backing.changes
        self._clock = backing.clock
        self._settings = backing.settings
        self._deadline = self._deadline_from(now)
        self._woken = asyncio.Event()
        self._over = asyncio.Event()
        self._draining = False
        self._meter = ProgressMeter()
        self._beat_at = now
        self._written_at = now - timedelta(seconds=self._settings.progress)
        self._context = JobContext(to_job(lease, self._deadline), lease, leases, self._woken.set)
        self._log = _log.bind(operation=to_name(lease.operation_id), kind=lease.kind)

    def _deadline_from(self, now: datetime) -> datetime | None:
        seconds = self._registration.seconds
        return None if seconds is None else now + timedelta(seconds=seconds)

    def drain(self) -> None:
        """Ends the attempt now and puts the operation back, for the next process."""
        self._draining = True
        self._woken.set()

    async def run(self) -> None:
        """Runs to the end; whatever the handler raises ends up in the operation."""
        self._log.info("operation_started", attempt=self._lease.attempt)
        work = asyncio.create_task(self._work(), name=f"{self._lease.kind} {self._lease.owner}")
        work.add_done_callback(self._finished)
        try:
            topic = cancellation_of(self._lease.operation_id)
            with self._changes.listen(topic, self._woken):
                ending = await self._watch()
            if ending is not None:
                await self._stop(work, ending)
            await self._end(work, ending)
            if not work.done():
                self._log.error("handler_does_not_end")
        finally:
            work.cancel()

    async def _work(self) -> Message:
        request = unpack(self._lease.request, self._registration.request_type)
        return await self._registration.handler(self._context, request)

    def _finished(self, work: asyncio.Task[Message]) -> None:
        self._over.set()
        self._woken.set()
        if not work.cancelled():
            work.exception()  # Taken here, since an attempt that is itself ended never looks.

    async def _watch(self) -> Ending | None:
        """Keeps the lease until the handler ends or must end; returns why it must."""
        while not self._over.is_set():
            await wait_until_set(self._woken, self._clock, self._pause())
            self._woken.clear()
            if self._over.is_set():
                break
            ending = await self._beat()
            if ending is not None:
                return ending
        return None

    def _pause(self) -> float:
        due = [self._beat_at + timedelta(seconds=self._settings.heartbeat)]
        if self._context.unwritten:
            due.append(self._written_at + timedelta(seconds=self._settings.progress))
        if self._deadline is not None:
            due.append(self._deadline)
        return (min(due) - self._clock.now()).total_seconds()

    async def _beat(self) -> Ending | None:
        """Writes what is due, and looks for a reason to end."""
        now = self._clock.now()
        if self._draining:
            return Ending.DRAINED
        if self._deadline is not None and now >= self._deadline:
            return Ending.DEADLINE
        try:
            return Ending.CANCELLED if await self._write(now) else None
        except LeaseLostError:
            return Ending.LEASE_LOST
        except DATABASE_FAULTS:
            # It may pass before the lease runs out; the next beat tries again.
            self._log.exception("heartbeat_failed")
            return None

    async def _write(self, now: datetime) -> bool:
        """Writes progress or renews the lease; returns whether the operation is to be ended."""
        unwritten = self._context.unwritten
        if not unwritten or now < self._written_at + timedelta(seconds=self._settings.progress):
            if unwritten and now < self._beat_at + timedelta(seconds=self._settings.heartbeat):
                return False
            self._beat_at = now
            return await self._leases.renew(self._lease)
        self._beat_at = self._written_at = now
        measured = self._meter.measure(self._context.take_progress(), now)
        return await self._leases.report(self._lease, measured)

    async def _stop(self, work: asyncio.Task[Message], ending: Ending) -> None:
        """Makes the handler end: by itself if it is cancelled, else by cancelling its task."""
        self._log.info("operation_stopping", ending=ending)
        self._context.cancelled.set()
        if ending is Ending.CANCELLED:
            await wait_until_set(self._over, self._clock, self._settings.cancel_grace)
        work.cancel()
        await wait_until_set(self._over, self._clock, self._settings.abort_grace)

    async def _end(self, work: asyncio.Task[Message], ending: Ending | None) -> None:
        """Writes how it ended."""
        end = self._choose_end(work, ending)
        for tries_left in reversed(range(_END_TRIES)):
            try:
                await self._write_last_progress()
                await end()
            except LeaseLostError:
                self._log.warning("lease_lost")
            except DATABASE_FAULTS:
                self._log.exception("end_not_written", tries_left=tries_left)
                await self._clock.sleep(_END_PAUSE)
                continue
            return

    def _choose_end(
        self, work: asyncio.Task[Message], ending: Ending | None
    ) -> Callable[[], Awaitable[None]]:
        leases, lease = self._leases, self._lease
        error = _failure(work)
        if error is None:
            response = work.result()
            return lambda: self._succeed(response)
        if ending is Ending.LEASE_LOST or isinstance(error, LeaseLostError):
            return self._leave
        if ending is Ending.CANCELLED:
            return lambda: leases.cancel(lease)
        if ending is Ending.DRAINED:
            return lambda: leases.release(lease)
        if ending is Ending.DEADLINE:
            return lambda: leases.fail(lease, to_status(self._too_late()))
        return lambda: self._fail(error)

    async def _succeed(self, response: Message) -> None:
        await self._leases.succeed(self._lease, pack(response))
        self._log.info("operation_succeeded")

    async def _leave(self) -> None:
        self._log.warning("lease_lost")

    async def _fail(self, error: BaseException) -> None:
        known = from_exception(error, self._lease.operation_id)
        if isinstance(known, Internal) and known is not error:
            self._log.error("operation_failed", exc_info=error)
        else:
            self._log.info("operation_failed", reason=known.reason_name, problem=known.message)
        if known.code is grpc.StatusCode.UNAVAILABLE and self._registration.retry:
            await self._leases.retry(self._lease, to_status(known))
        else:
            await self._leases.fail(self._lease, to_status(known))

    async def _write_last_progress(self) -> None:
        if self._context.unwritten:
            now = self._clock.now()
            measured = self._meter.measure(self._context.take_progress(), now)
            await self._leases.report(self._lease, measured)

    def _too_late(self) -> DeadlineExceeded:
        return DeadlineExceeded(
            reasons.ERROR_REASON_DEADLINE_EXCEEDED,
            f"The work was not done within {self._registration.seconds:.0f} seconds.",
            advice="Ask for less work at a time, or allow it more time in the service's settings.",
            metadata={"operation": to_name(self._lease.operation_id)},
        )


def _failure(work: asyncio.Task[Message]) -> BaseException | None:
    """Returns what a handler ended with, or would have if it had ended; None for a response."""
    if not work.done() or work.cancelled():
        return asyncio.CancelledError()
    return work.exception()
