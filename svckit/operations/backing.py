"""What the store, the runner and the servicers of one service share."""

from dataclasses import dataclass, field

from sqlalchemy import func, select

from svckit.clock import Clock
from svckit.database import Database
from svckit.operations.changes import Changes
from svckit.operations.settings import OperationSettings
from svckit.operations.tables import OperationRow, OperationState
from svckit.telemetry import Metrics


@dataclass(frozen=True)
class Backing:
    """The ground that a service's operations stand on.

    Attributes:
        database: Has the tables of `svckit.operations.tables`.
        clock: Dates everything, and waits.
        settings: The figures.
        metrics: The metrics of the process.
        changes: Brings word of changes within the process.
    """

    database: Database
    clock: Clock
    settings: OperationSettings
    metrics: Metrics
    changes: Changes = field(default_factory=Changes)

    def observe_end(self, row: OperationRow) -> None:
        """Measures an operation that has just ended; does nothing for one that has not."""
        if row.end_time is not None:
            seconds = (row.end_time - row.create_time).total_seconds()
            self.metrics.operation_seconds.labels(kind=row.kind, state=row.state).observe(seconds)

    async def observe_all(self) -> None:
        """Counts the operations that there are, and those that wait."""
        statement = select(OperationRow.kind, OperationRow.state, func.count())
        async with self.database.reading() as session:
            counted = await session.execute(
                statement.group_by(OperationRow.kind, OperationRow.state)
            )
            rows = counted.all()
        self.metrics.operations.clear()
        for kind, state, count in rows:
            self.metrics.operations.labels(kind=kind, state=state).set(count)
        waiting = sum(count for _, state, count in rows if state == OperationState.QUEUED)
        self.metrics.queue_depth.labels(queue="operations").set(waiting)
