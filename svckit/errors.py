"""The one exception tree of the services: what went wrong, why, and what to do about it.

Code that fails raises one of these (`NotFound`, `InvalidArgument`, …); one interceptor turns it
into ``google.rpc.Status`` (`svckit.status`), and clients get the same exception back.
"""

# The names are gRPC's own names of the codes.
# ruff: noqa: N818

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Final, Protocol, runtime_checkable

import grpc
from sliceandpack.error.v1 import error_reason_pb2 as pb

from svckit.reasons import CODES, RETRY_SECONDS, reason_name, reason_of

INTERNAL_MESSAGE: Final = "An unexpected fault of the service."
"""The fixed text of every error that nobody foresaw: its cause is in the log alone."""


@dataclass(frozen=True)
class FieldViolation:
    """One rule that a field of a request breaks.

    Attributes:
        field: The path of the field, such as ``model.inputs[0].shape``.
        description: What is wrong with it, one sentence.
    """

    field: str
    description: str


class ServiceError(Exception):
    """A failure with a canonical code, a stable reason and one sentence of advice.

    Attributes:
        code: The canonical code; each subclass has its own.
        reason: The reason, a value of ``sliceandpack.error.v1.ErrorReason``.
        message: What went wrong, one sentence for a person.
        advice: What to do about it, one sentence.
        metadata: Facts that a program can read, as text.
        violations: The broken rules of the request's fields.
    """

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.UNKNOWN

    def __init__(
        self,
        reason: pb.ErrorReason.ValueType,
        message: str,
        *,
        advice: str,
        metadata: Mapping[str, str] | None = None,
        violations: Sequence[FieldViolation] = (),
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.advice = advice
        self.metadata: Mapping[str, str] = MappingProxyType(dict(metadata or {}))
        self.violations = tuple(violations)

    @property
    def reason_name(self) -> str:
        """The reason without the enum's prefix, such as ``QUEUE_FULL``."""
        return reason_name(self.reason)

    @property
    def retry_seconds(self) -> float | None:
        """After how many seconds the same request can be sent again; None if it should not be."""
        return RETRY_SECONDS.get(self.reason)

    def __str__(self) -> str:
        return f"{self.reason_name}: {self.message} {self.advice}".rstrip()


class InvalidArgument(ServiceError):
    """The request is wrong whatever the state of the service."""

    code = grpc.StatusCode.INVALID_ARGUMENT


class NotFound(ServiceError):
    """No resource has the name."""

    code = grpc.StatusCode.NOT_FOUND


class AlreadyExists(ServiceError):
    """A resource has the name already."""

    code = grpc.StatusCode.ALREADY_EXISTS


class FailedPrecondition(ServiceError):
    """The state of the service forbids the request until something else is done."""

    code = grpc.StatusCode.FAILED_PRECONDITION


class Aborted(ServiceError):
    """Another change came first: read again, then try again."""

    code = grpc.StatusCode.ABORTED


class OutOfRange(ServiceError):
    """An offset is outside of what there is."""

    code = grpc.StatusCode.OUT_OF_RANGE


class ResourceExhausted(ServiceError):
    """A limit on memory, time, disk or waiting work is reached."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED


class Unavailable(ServiceError):
    """Not now: the same request can be sent again."""

    code = grpc.StatusCode.UNAVAILABLE


class DeadlineExceeded(ServiceError):
    """It took longer than it may."""

    code = grpc.StatusCode.DEADLINE_EXCEEDED


class Cancelled(ServiceError):
    """The caller or another client cancelled it."""

    code = grpc.StatusCode.CANCELLED


class Internal(ServiceError):
    """A fault of the service itself."""

    code = grpc.StatusCode.INTERNAL


class DataLoss(ServiceError):
    """Stored bytes are damaged."""

    code = grpc.StatusCode.DATA_LOSS


class Unauthenticated(ServiceError):
    """The caller did not say who it is."""

    code = grpc.StatusCode.UNAUTHENTICATED


class PermissionDenied(ServiceError):
    """The caller may not do this."""

    code = grpc.StatusCode.PERMISSION_DENIED


class Unimplemented(ServiceError):
    """The service does not offer the method."""

    code = grpc.StatusCode.UNIMPLEMENTED


_CLASSES: Mapping[grpc.StatusCode, type[ServiceError]] = {
    kind.code: kind for kind in ServiceError.__subclasses__()
}


def class_of(code: grpc.StatusCode) -> type[ServiceError]:
    """Returns the exception of a code: `ServiceError` itself for one that no service sends."""
    return _CLASSES.get(code, ServiceError)


@runtime_checkable
class DomainError(Protocol):
    """What the exceptions of the pure libraries have in common (such as ``GraphError``).

    Attributes:
        reason: The name of a value of ``ErrorReason``, without its prefix.
        message: What is wrong.
        advice: One sentence on what to do about it.
        metadata: Facts as text.
    """

    reason: str
    message: str
    advice: str
    metadata: Mapping[str, str]


def from_domain(
    reason: str, message: str, advice: str, metadata: Mapping[str, str] | None = None
) -> ServiceError:
    """Returns the service's error for a reason that a pure library gave.

    Args:
        reason: The reason's name without the enum's prefix; a ``StrEnum`` member will do.
        message: What is wrong.
        advice: One sentence on what to do about it.
        metadata: Facts as text.

    Raises:
        ValueError: The contracts have no such reason.
    """
    value = reason_of(str(reason))
    if value is None:
        raise ValueError(f"sliceandpack.error.v1.ErrorReason has no ERROR_REASON_{reason}")
    return class_of(CODES[value])(value, message, advice=advice, metadata=metadata)


def from_exception(error: BaseException, call_id: str) -> ServiceError:
    """Returns the error that a client may see for any exception; never raises.

    A `ServiceError` is returned as it is, a domain error by its reason, anything else as INTERNAL
    with a fixed text: whoever calls this logs the traceback of what comes back as `Internal`.

    Args:
        error: What was raised.
        call_id: The id under which the log has the cause.
    """
    if isinstance(error, ServiceError):
        return error
    if (
        isinstance(error, DomainError)
        and isinstance(error.reason, str)
        and reason_of(str(error.reason)) is not None
    ):
        return from_domain(error.reason, error.message, error.advice, error.metadata)
    return Internal(
        pb.ERROR_REASON_INTERNAL,
        INTERNAL_MESSAGE,
        advice=f"Look for the call id {call_id} in the log of the service.",
        metadata={"call_id": call_id},
    )
