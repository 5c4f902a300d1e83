"""A pool of warm worker processes behind a bounded queue."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from inspect import isawaitable
from signal import SIGABRT, SIGXCPU
from typing import Final, Self

import structlog

from svckit.errors import ServiceError
from svckit.workers import failures, frames
from svckit.workers.frames import JsonObject
from svckit.workers.limits import WorkerLimits
from svckit.workers.process import WorkerEndedError, WorkerProcess

_log: Final = structlog.get_logger(__name__)
_MEMORY_CHECK_SECONDS: Final = 0.5
_CLOSE_SECONDS: Final = 10.0

OnProgress = Callable[[JsonObject], Awaitable[None] | None]
"""Gets each object that the job reports; while it is awaited, the job's next report waits."""


@dataclass(frozen=True)
class PoolSettings:
    """How many workers there are and how long they last.

    Attributes:
        size: How many jobs run at once.
        queue: How many more may wait.
        threads: How many threads the numeric libraries of a worker may use.
        gpus: Whether a worker sees the machine's GPUs.
        jobs_per_worker: After so many jobs a worker is replaced.
        recycle_bytes: A worker that has more memory in use after a job is replaced.
        limits: The limits of a job that comes without its own.
    """

    size: int = 1
    queue: int = 64
    threads: int = 1
    gpus: bool = True
    jobs_per_worker: int = 100
    recycle_bytes: int = 3 * 2**29
    limits: WorkerLimits = field(default_factory=WorkerLimits)


@dataclass(frozen=True)
class _Job:
    entry: str
    frame: bytes
    limits: WorkerLimits
    on_progress: OnProgress | None


class WorkerPool:
    """Runs jobs in worker processes that are limited, reused, and replaced when they die.

    An async context manager that closes the pool. Workers start with the first jobs.

    Args:
        entries: All that can be run, as ``package.module:function``.
        settings: How many workers there are and how long they last.
        on_death: Gets the reason (such as ``WORKER_DIED``) whenever a worker dies in the middle
            of a job, for the metric.
    """

    def __init__(
        self,
        entries: Collection[str],
        settings: PoolSettings = PoolSettings(),
        *,
        on_death: Callable[[str], None],
    ) -> None:
        self._entries = frozenset(entries)
        self._settings = settings
        self._on_death = on_death
        self._slots = asyncio.Semaphore(settings.size)
        self._admitted = 0
        self._idle: list[WorkerProcess] = []
        self._running: set[asyncio.Task[JsonObject]] = set()
        self._closing = asyncio.Event()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def queued(self) -> int:
        """How many jobs wait for a worker now."""
        return max(0, self._admitted - self._settings.size)

    async def run(
        self,
        entry: str,
        request: JsonObject,
        *,
        on_progress: OnProgress | None = None,
        cancel: asyncio.Event | None = None,
        limits: WorkerLimits | None = None,
    ) -> JsonObject:
        """Runs a job and returns its result; when it raises, the job no longer runs.

        Args:
            entry: What to run, ``function(request, report)`` of an allowed module.
            request: What the function gets; JSON, files by their paths.
            on_progress: Gets what the function reports.
            cancel: Once set, the job ends with `Cancelled`; cancelling the task does the same.
            limits: The job's limits, in place of the pool's.

        Raises:
            ValueError: `entry` is not allowed.
            FrameError: `request` is no JSON, or too large.
            ResourceExhausted: QUEUE_FULL, WORKER_MEMORY, WORKER_CPU_TIME, WORKER_FILE_SIZE or
                STORAGE_FULL.
            Unavailable: WORKER_DIED, which can be tried again, or SHUTTING_DOWN.
            DeadlineExceeded: The job took, or waited, longer than it may.
            Cancelled: `cancel` was set.
            Internal: The function raised something else; the log has the traceback.
            ServiceError: The function raised an exception with a reason of the contracts.
        """
        if entry not in self._entries:
            raise ValueError(f"{entry} is not among the entries of this pool")
        limits = limits or self._settings.limits
        body = {"entry": entry, "request": request, "limits": limits.to_json()}
        job = _Job(entry, frames.encode(body), limits, on_progress)
        if self._closing.is_set():
            raise failures.shutting_down()
        if self._admitted >= self._settings.size + self._settings.queue:
            raise failures.queue_full(self._settings.queue)
        self._admitted += 1
        work = asyncio.create_task(self._run(job), name=f"worker-job-{entry}")
        self._running.add(work)
        work.add_done_callback(self._forget)
        return await self._until_stopped(work, cancel)

    async def close(self) -> None:
        """Takes no more jobs, ends those that run or wait, and ends the workers; may be repeated.

        Whoever waits for a job gets `Unavailable`, SHUTTING_DOWN.
        """
        self._closing.set()
        if self._running:
            await asyncio.wait(self._running, timeout=_CLOSE_SECONDS)
        idle, self._idle = self._idle, []
        await asyncio.gather(*(worker.retire() for worker in idle))

    async def _until_stopped(
        self, work: asyncio.Task[JsonObject], cancel: asyncio.Event | None
    ) -> JsonObject:
        """Awaits a job; ends it when it is cancelled or the pool closes."""
        stops: list[tuple[asyncio.Event, Callable[[], ServiceError]]]
        stops = [(self._closing, failures.shutting_down)]
        if cancel is not None:
            stops.append((cancel, failures.cancelled))
        watches = [asyncio.create_task(event.wait()) for event, _ in stops]
        try:
            await asyncio.wait([work, *watches], return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return work.result()
            raise next(error() for event, error in stops if event.is_set())
        finally:
            for task in (work, *watches):
                task.cancel()
            await asyncio.wait([work, *watches])

    def _forget(self, work: asyncio.Task[JsonObject]) -> None:
        self._admitted -= 1
        self._running.discard(work)
        if not work.cancelled():
            work.exception()  # Marks it as seen: who was cancelled does not ask for it.

    async def _run(self, job: _Job) -> JsonObject:
        async with self._slot(job.limits):
            worker = await self._take()
            try:
                outcome = await self._conduct(worker, job)
                await self._give_back(worker)
            except BaseException:
                await worker.kill()
                raise
        if outcome["kind"] == "result":
            result: JsonObject = outcome["result"]
            return result
        raise failures.of_outcome(outcome, job.entry, job.limits)

    @asynccontextmanager
    async def _slot(self, limits: WorkerLimits) -> AsyncIterator[None]:
        """Waits for its turn and holds it."""
        try:
            async with asyncio.timeout(limits.wall_seconds):
                await self._slots.acquire()
        except TimeoutError as error:
            raise failures.too_slow(limits) from error
        try:
            yield
        finally:
            self._slots.release()

    async def _take(self) -> WorkerProcess:
        """Returns a worker that waits, or a new one."""
        while self._idle:
            worker = self._idle.pop()
            if worker.alive:
                return worker
            await worker.kill()
        try:
            return await WorkerProcess.spawn(self._settings.threads, gpus=self._settings.gpus)
        except OSError as error:
            _log.exception("worker_not_started")
            raise failures.died(None) from error

    async def _give_back(self, worker: WorkerProcess) -> None:
        """Keeps a worker for the next job, unless it is worn."""
        worn = worker.jobs >= self._settings.jobs_per_worker
        if worn or worker.resident_bytes > self._settings.recycle_bytes:
            await worker.retire()
        else:
            self._idle.append(worker)

    async def _conduct(self, worker: WorkerProcess, job: _Job) -> JsonObject:
        """Has a worker do a job; returns its outcome."""
        hoarding = asyncio.create_task(_stop_when_above(worker, job.limits.resident_bytes))
        scope = asyncio.timeout(job.limits.wall_seconds)
        try:
            async with scope:
                await worker.send(job.frame)
                return await _outcome(worker, job.on_progress)
        except WorkerEndedError as error:
            raise await self._death(worker, job, hoarded=hoarding.done()) from error
        except TimeoutError as error:
            if not scope.expired():
                raise
            raise failures.too_slow(job.limits) from error
        finally:
            hoarding.cancel()

    async def _death(self, worker: WorkerProcess, job: _Job, *, hoarded: bool) -> ServiceError:
        """Returns what the death of a worker means for its job."""
        returncode = await worker.kill()
        error: ServiceError
        if hoarded or (returncode == -SIGABRT and b"bad_alloc" in worker.output_tail):
            error = failures.out_of_memory(job.limits)
        elif returncode == -SIGXCPU:
            error = failures.out_of_cpu_time(job.limits)
        else:
            error = failures.died(returncode)
        _log.warning(
            "worker_died", entry=job.entry, returncode=returncode, reason=error.reason_name
        )
        self._on_death(error.reason_name)
        return error


async def _outcome(worker: WorkerProcess, on_progress: OnProgress | None) -> JsonObject:
    """Passes on what a job reports, until it ends."""
    while (frame := await worker.receive())["kind"] == "progress":
        if on_progress is not None:
            taken = on_progress(frame["progress"])
            if isawaitable(taken):
                await taken
    return frame


async def _stop_when_above(worker: WorkerProcess, limit_bytes: int) -> None:
    """Kills a worker that has more memory in use than it may; returns once it has."""
    # No event tells of another process's memory.
    while worker.resident_bytes <= limit_bytes:  # noqa: ASYNC110
        await asyncio.sleep(_MEMORY_CHECK_SECONDS)
    worker.stop()
