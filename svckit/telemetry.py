"""JSON logs on standard error, and the metrics of `docs/metrics.md`."""

import logging
import sys
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from svckit.settings import LogLevel

RPC_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
"""Upper bounds of ``rpc_seconds``, in seconds."""

OPERATION_BUCKETS: Final = (0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600)
"""Upper bounds of ``operation_seconds``, in seconds."""


class Metrics:
    """The metrics of one process; labels never carry a model's, pack's or deployment's name.

    Attributes:
        registry: Where all of them are registered.
        rpc_seconds: Seconds per call, by ``method`` and ``code``.
        operations: Operations there are now, by ``kind`` and ``state``.
        operation_seconds: Seconds from the request to the end, by ``kind`` and ``state``.
        queue_depth: Work that waits now, by ``queue``.
        worker_deaths: Workers that died in the middle of work, by ``cause``.
        artifact_bytes: Bytes of all stored artifacts.
        deployment_ready: Deployments on this replica, by ``state``.
        execution_provider: 1 for where workers compute, by ``library`` and ``provider``.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.rpc_seconds = Histogram(
            "sliceandpack_rpc_seconds",
            "Seconds that a call took, a stream until its end.",
            ("method", "code"),
            buckets=RPC_BUCKETS,
            registry=self.registry,
        )
        self.operations = Gauge(
            "sliceandpack_operations",
            "Long-running operations that are kept.",
            ("kind", "state"),
            registry=self.registry,
        )
        self.operation_seconds = Histogram(
            "sliceandpack_operation_seconds",
            "Seconds from the request of an operation to its end.",
            ("kind", "state"),
            buckets=OPERATION_BUCKETS,
            registry=self.registry,
        )
        self.queue_depth = Gauge(
            "sliceandpack_queue_depth",
            "Pieces of work that wait.",
            ("queue",),
            registry=self.registry,
        )
        self.worker_deaths = Counter(
            "sliceandpack_worker_deaths_total",
            "Worker processes that died in the middle of work.",
            ("cause",),
            registry=self.registry,
        )
        self.artifact_bytes = Gauge(
            "sliceandpack_artifact_bytes",
            "Bytes of all stored artifacts.",
            registry=self.registry,
        )
        self.deployment_ready = Gauge(
            "sliceandpack_deployment_ready",
            "Deployments on this replica, by how they stand.",
            ("state",),
            registry=self.registry,
        )
        self.execution_provider = Gauge(
            "sliceandpack_execution_provider",
            "Where workers compute, as a worker found at the start.",
            ("library", "provider"),
            registry=self.registry,
        )


def configure_logging(level: LogLevel, process: str) -> None:
    """Sends every log line of the process to standard error as one JSON object.

    Lines of other libraries come through the standard library's logging in the same form.

    Args:
        level: The least severe lines that are written.
        process: The name of the process, which every line carries.
    """

    def name_process(_logger: object, _method: str, event: structlog.typing.EventDict) -> object:
        return {"process": process, **event}

    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        name_process,  # type: ignore[list-item]  # It returns a mapping, as it should.
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    logging.captureWarnings(True)
