"""What was asked of a model, as Triton counts it."""

from __future__ import annotations

from dataclasses import astuple, dataclass

from tritonclient.grpc import service_pb2

_NANOSECONDS = 1e-9


@dataclass(frozen=True)
class Traffic:
    """Requests to one model.

    Attributes:
        requests: How many were answered.
        errors: How many failed.
        seconds: What all answered ones took in the server together.
        queue_seconds: Of these, in the queue.
        compute_seconds: Of these, computing and copying inputs and outputs.
    """

    requests: int = 0
    errors: int = 0
    seconds: float = 0.0
    queue_seconds: float = 0.0
    compute_seconds: float = 0.0

    def __add__(self, other: Traffic) -> Traffic:
        """Returns both together."""
        return Traffic(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def __sub__(self, other: Traffic) -> Traffic:
        """Returns what is left of it without the other."""
        return Traffic(*(a - b for a, b in zip(astuple(self), astuple(other), strict=True)))

    @property
    def counted(self) -> Traffic:
        """What can have been: nothing below 0."""
        return Traffic(*(max(figure, 0) for figure in astuple(self)))


def traffic_of(statistics: service_pb2.InferStatistics) -> Traffic:
    """Reads Triton's statistics of one version of a model since it was loaded."""
    compute = (statistics.compute_input, statistics.compute_infer, statistics.compute_output)
    return Traffic(
        requests=statistics.success.count,
        errors=statistics.fail.count,
        seconds=statistics.success.ns * _NANOSECONDS,
        queue_seconds=statistics.queue.ns * _NANOSECONDS,
        compute_seconds=sum(part.ns for part in compute) * _NANOSECONDS,
    )
