"""What a failed job is to whoever asked for it."""

import signal
import uuid
from typing import Final

import structlog
from sliceandpack.error.v1 import error_reason_pb2 as pb

from svckit.errors import (
    INTERNAL_MESSAGE,
    Cancelled,
    DeadlineExceeded,
    Internal,
    ResourceExhausted,
    ServiceError,
    Unavailable,
    from_domain,
)
from svckit.reasons import reason_of
from svckit.workers.frames import JsonObject
from svckit.workers.limits import WorkerLimits

_log: Final = structlog.get_logger(__name__)
_SMALLER: Final = "Send a smaller model or fewer samples, or ask the operator for a higher limit."


def of_outcome(outcome: JsonObject, entry: str, limits: WorkerLimits) -> ServiceError:
    """Returns the error of an outcome that is no result; a fault's traceback goes to the log.

    Args:
        outcome: What the worker sent; see `svckit.workers.outcomes`.
        entry: What was run.
        limits: The job's limits.
    """
    if outcome["kind"] == "limit":
        return _LIMITS[outcome["limit"]](limits)
    if outcome["kind"] == "domain" and reason_of(outcome["reason"]) is not None:
        return from_domain(
            outcome["reason"], outcome["message"], outcome["advice"], outcome["metadata"]
        )
    call_id = uuid.uuid4().hex
    _log.error("worker_fault", call_id=call_id, entry=entry, outcome=outcome)
    return Internal(
        pb.ERROR_REASON_INTERNAL,
        INTERNAL_MESSAGE,
        advice=f"Look for the call id {call_id} in the log of the service.",
        metadata={"call_id": call_id},
    )


def out_of_memory(limits: WorkerLimits) -> ResourceExhausted:
    """Returns the error of a job that wanted more memory than it may take."""
    bounds = [limits.address_space_bytes, limits.resident_bytes]
    limit = min(bound for bound in bounds if bound is not None)
    return ResourceExhausted(
        pb.ERROR_REASON_WORKER_MEMORY,
        f"The work needs more memory than the {limit} bytes that it may take.",
        advice=_SMALLER,
        metadata={"limit_bytes": str(limit)},
    )


def out_of_cpu_time(limits: WorkerLimits) -> ResourceExhausted:
    """Returns the error of a job that wanted more processor time than it may take."""
    return ResourceExhausted(
        pb.ERROR_REASON_WORKER_CPU_TIME,
        f"The work needs more processor time than the {limits.cpu_seconds} s that it may take.",
        advice=_SMALLER,
        metadata={"limit_seconds": str(limits.cpu_seconds)},
    )


def died(returncode: int | None) -> Unavailable:
    """Returns the error of a job whose worker ended in the middle of it.

    Args:
        returncode: As ``subprocess`` gives it, negative for a signal; None if it never started.
    """
    if returncode is None:
        metadata = {"signal": "none"}
    elif returncode < 0:
        metadata = {"signal": _signal_name(-returncode)}
    else:
        metadata = {"signal": "none", "exit_status": str(returncode)}
    return Unavailable(
        pb.ERROR_REASON_WORKER_DIED,
        "The worker process died during the work.",
        advice="Try again: another worker is started.",
        metadata=metadata,
    )


def too_slow(limits: WorkerLimits) -> DeadlineExceeded:
    """Returns the error of a job that was not done in time."""
    return DeadlineExceeded(
        pb.ERROR_REASON_DEADLINE_EXCEEDED,
        f"The work was not done within {limits.wall_seconds:g} seconds.",
        advice=_SMALLER,
    )


def queue_full(limit: int) -> ResourceExhausted:
    """Returns the error for a job that would wait behind too many others."""
    return ResourceExhausted(
        pb.ERROR_REASON_QUEUE_FULL,
        f"{limit} jobs wait for a worker already.",
        advice="Try again when some of the work is done.",
        metadata={"limit": str(limit)},
    )


def cancelled() -> Cancelled:
    """Returns the error of a job that was cancelled."""
    return Cancelled(
        pb.ERROR_REASON_CANCELLED, "The work was cancelled.", advice="Start it again if needed."
    )


def shutting_down() -> Unavailable:
    """Returns the error for a job of a pool that closes."""
    return Unavailable(
        pb.ERROR_REASON_SHUTTING_DOWN,
        "The service is stopping and takes no new work.",
        advice="Try again when the service is up again.",
    )


def _too_large_a_file(limits: WorkerLimits) -> ResourceExhausted:
    return ResourceExhausted(
        pb.ERROR_REASON_WORKER_FILE_SIZE,
        f"The work wrote a file of more than the {limits.file_bytes} bytes that it may.",
        advice=_SMALLER,
        metadata={"limit_bytes": str(limits.file_bytes)},
    )


def _storage_full(_: WorkerLimits) -> ResourceExhausted:
    return ResourceExhausted(
        pb.ERROR_REASON_STORAGE_FULL,
        "The disk of the service is full.",
        advice="Delete what is no longer needed or ask the operator for space, then try again.",
    )


_LIMITS: Final = {
    "memory": out_of_memory,
    "file_size": _too_large_a_file,
    "storage": _storage_full,
}


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)  # A real-time signal has no name of its own.
