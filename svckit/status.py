"""`ServiceError` to ``google.rpc.Status`` and back.

A status carries ``ErrorInfo`` (reason, domain, metadata), ``LocalizedMessage`` (en-US: the
message, a space, and the one sentence of advice), ``BadRequest`` where fields broke rules, and
``RetryInfo`` where the same request can be sent again. It travels in the trailer
``grpc-status-details-bin`` of a call and in ``Operation.error``.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import grpc
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2, status_pb2
from sliceandpack.error.v1 import error_reason_pb2 as pb

from svckit.errors import FieldViolation, ServiceError, class_of
from svckit.reasons import DOMAIN, reason_name, reason_of

DETAILS_KEY: Final = "grpc-status-details-bin"
"""The trailer that carries a serialised ``google.rpc.Status``."""

# Trailers beyond 8 KiB are dropped by many gRPC stacks, and base64 adds a third.
_TEXT_CHARACTERS: Final = 1_000
_VALUE_CHARACTERS: Final = 200
_METADATA_ENTRIES: Final = 16
_VIOLATIONS_BYTES: Final = 2_000

_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}


def to_status(error: ServiceError) -> status_pb2.Status:
    """Returns an error as ``google.rpc.Status``, cut to what fits into a trailer.

    Args:
        error: The error.
    """
    message = _cut(error.message, _TEXT_CHARACTERS)
    status = status_pb2.Status(code=error.code.value[0], message=message)
    info = error_details_pb2.ErrorInfo(reason=reason_name(error.reason), domain=DOMAIN)
    for key, value in list(error.metadata.items())[:_METADATA_ENTRIES]:
        info.metadata[key] = _cut(value, _VALUE_CHARACTERS)
    status.details.add().Pack(info)
    advice = _cut(error.advice, _TEXT_CHARACTERS)
    localized = error_details_pb2.LocalizedMessage(
        locale="en-US", message=f"{message} {advice}".rstrip()
    )
    status.details.add().Pack(localized)
    if error.violations:
        status.details.add().Pack(_bad_request(error.violations))
    if error.retry_seconds is not None:
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(int(error.retry_seconds * 1_000))
        status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    return status


def to_trailers(error: ServiceError) -> tuple[tuple[str, bytes], ...]:
    """Returns the trailing metadata that carries an error's status."""
    return ((DETAILS_KEY, to_status(error).SerializeToString()),)


def from_status(status: status_pb2.Status) -> ServiceError:
    """Returns the error that a status stands for, such as ``Operation.error``.

    A reason of another domain, or one that these contracts do not know, becomes
    ``ERROR_REASON_UNSPECIFIED``; the code decides the class.

    Args:
        status: A status whose code is not OK.
    """
    info = error_details_pb2.ErrorInfo()
    localized = error_details_pb2.LocalizedMessage()
    bad_request = error_details_pb2.BadRequest()
    for detail in status.details:
        for target in (info, localized, bad_request):
            if detail.Is(target.DESCRIPTOR):
                detail.Unpack(target)
    known = reason_of(info.reason) if info.domain == DOMAIN else None
    return class_of(_CODES.get(status.code, grpc.StatusCode.UNKNOWN))(
        pb.ERROR_REASON_UNSPECIFIED if known is None else known,
        status.message,
        advice=localized.message.removeprefix(status.message).strip(),
        metadata=dict(info.metadata),
        violations=[
            FieldViolation(violation.field, violation.description)
            for violation in bad_request.field_violations
        ],
    )


def from_rpc_error(error: grpc.aio.AioRpcError) -> ServiceError:
    """Returns the error of a failed call, on the client's side.

    Args:
        error: What the call raised. One without a status in its trailers, as from a lost
            connection, gets the reason that its code implies.
    """
    for key, value in _trailers(error):
        if key == DETAILS_KEY and isinstance(value, bytes):
            return from_status(status_pb2.Status.FromString(value))
    code = error.code()
    reason, advice = _BARE.get(code, (pb.ERROR_REASON_UNSPECIFIED, "Look into the server's log."))
    message = error.details() or code.value[1]
    if message == "Deadline Exceeded":
        # gRPC's own words for it name the code and nothing else.
        message = "The server did not answer in time."
    return class_of(code)(reason, message, advice=advice)


_BARE: Final = {
    grpc.StatusCode.UNAVAILABLE: (
        pb.ERROR_REASON_UNSPECIFIED,
        "Check that the server runs, that its address is right, and that both sides use TLS or "
        "neither does.",
    ),
    grpc.StatusCode.DEADLINE_EXCEEDED: (
        pb.ERROR_REASON_DEADLINE_EXCEEDED,
        "Look whether the server hangs or is busy; try again, or allow the call more time.",
    ),
    grpc.StatusCode.CANCELLED: (pb.ERROR_REASON_CANCELLED, "Call again if you need the answer."),
    grpc.StatusCode.UNIMPLEMENTED: (
        pb.ERROR_REASON_METHOD_NOT_FOUND,
        "Check that the address is that of the right service, and its version.",
    ),
    grpc.StatusCode.RESOURCE_EXHAUSTED: (
        pb.ERROR_REASON_UNSPECIFIED,
        "Send smaller messages, or try again when the server is less busy.",
    ),
}


def _trailers(error: grpc.aio.AioRpcError) -> Iterable[tuple[str, str | bytes]]:
    """Returns the trailing metadata of a failed call as pairs."""
    return [(str(key), value) for key, value in error.trailing_metadata() or ()]


def _bad_request(violations: Sequence[FieldViolation]) -> error_details_pb2.BadRequest:
    """Returns as many violations as fit, the last one telling how many more there are."""
    request = error_details_pb2.BadRequest()
    for index, violation in enumerate(violations):
        if request.ByteSize() > _VIOLATIONS_BYTES:
            rest = len(violations) - index
            request.field_violations.add(field="", description=f"{rest} more fields break rules.")
            break
        request.field_violations.add(
            field=_cut(violation.field, _VALUE_CHARACTERS),
            description=_cut(violation.description, _VALUE_CHARACTERS),
        )
    return request


def _cut(text: str, characters: int) -> str:
    """Returns a text of at most so many characters, its end marked where it was cut."""
    return text if len(text) <= characters else text[: characters - 1] + "…"
