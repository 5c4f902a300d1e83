"""How operations are queued, leased, retried and kept."""

from dataclasses import dataclass


@dataclass(frozen=True)
class OperationSettings:
    """The figures of a service's operations; sizes are counts, times are seconds.

    Attributes:
        queue: How many operations may wait; a further one is refused with QUEUE_FULL.
        concurrency: How many run at once in one process.
        attempts: How often an operation may be started and lost before it is given up.
        lease: For how long a claim holds without being renewed.
        heartbeat: How often a running operation renews its lease.
        poll: How often the tables are looked at although nobody gave notice, which is how the
            work of another process is seen.
        cancel_grace: What a handler gets to end by itself after it was told to.
        abort_grace: What a handler gets to end after its task was cancelled. Both graces and one
            heartbeat together stay under `cancel_limit`.
        cancel_limit: From then on any process ends a cancelled operation, whoever runs it.
        backoff: The pause before the second attempt, doubled before each further one.
        progress: The least time between two writes of an operation's progress.
        drain: What running handlers get to end when the service stops, before they are put back.
        keep_results: For how long a finished operation can be read.
        keep_request_ids: For how long a replay gets the first answer.
    """

    queue: int = 64
    concurrency: int = 2
    attempts: int = 3
    lease: float = 10.0
    heartbeat: float = 2.0
    poll: float = 5.0
    cancel_grace: float = 1.5
    abort_grace: float = 1.0
    cancel_limit: float = 4.5
    backoff: float = 1.0
    progress: float = 0.5
    drain: float = 5.0
    keep_results: float = 30 * 86_400.0
    keep_request_ids: float = 7 * 86_400.0

    def __post_init__(self) -> None:
        """Refuses figures under which leases would run out or cancelling would take too long.

        Raises:
            ValueError: If a heartbeat is no shorter than half a lease, or the graces and a
                heartbeat are longer than the limit.
        """
        if self.heartbeat > self.lease / 2:
            raise ValueError("a lease must outlast two heartbeats")
        if self.heartbeat + self.cancel_grace + self.abort_grace > self.cancel_limit:
            raise ValueError("a heartbeat and both graces must fit into cancel_limit")
