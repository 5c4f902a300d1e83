"""Channels with TLS, keepalive, retries with jitter, deadlines and request ids."""

import json
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import grpc
from google.protobuf.message import Message

from svckit.clients.settings import ClientSettings

REQUEST_ID: Final = "request_id"
"""The field that makes a mutation safe to send twice (AIP-155)."""

# gRPC's stubs leave the type of a request open, and have type arguments that the class lacks.
Request = Any
if TYPE_CHECKING:
    UnaryCall = grpc.aio.UnaryUnaryCall[Any, Any]
else:
    UnaryCall = grpc.aio.UnaryUnaryCall


def channel(settings: ClientSettings) -> grpc.aio.Channel:
    """Opens a channel to a service; nothing is sent before the first call.

    A unary call without a deadline gets one, and a mutation without a ``request_id`` gets one, so
    that a call that is retried after UNAVAILABLE takes effect once. gRPC waits between attempts
    with exponential backoff and a jitter of 20 %.

    Args:
        settings: Where the service is and how to reach it.

    Raises:
        OSError: A TLS file cannot be read.
    """
    interceptors = (DefaultsInterceptor(settings.deadline_seconds),)
    if settings.tls_ca is None:
        return grpc.aio.insecure_channel(
            settings.address, options=_options(settings), interceptors=interceptors
        )
    credentials = grpc.ssl_channel_credentials(
        root_certificates=settings.tls_ca.read_bytes(),
        private_key=settings.tls_key.read_bytes() if settings.tls_key else None,
        certificate_chain=(
            settings.tls_certificate.read_bytes() if settings.tls_certificate else None
        ),
    )
    return grpc.aio.secure_channel(
        settings.address, credentials, options=_options(settings), interceptors=interceptors
    )


class DefaultsInterceptor(grpc.aio.UnaryUnaryClientInterceptor):
    """Gives unary calls a deadline and mutations a request id where the caller gave none.

    Args:
        deadline_seconds: The deadline of a call without one.
    """

    def __init__(self, deadline_seconds: float) -> None:
        self._deadline_seconds = deadline_seconds

    async def intercept_unary_unary(
        self,
        continuation: Callable[[grpc.aio.ClientCallDetails, Any], Any],
        client_call_details: grpc.aio.ClientCallDetails,
        request: Request,
    ) -> UnaryCall:
        """Completes a call; as gRPC calls it.

        Args:
            continuation: Makes the call.
            client_call_details: Its method, deadline and metadata.
            request: Its request, which is left as it is.
        """
        details = client_call_details
        if details.timeout is None:
            details = details._replace(timeout=self._deadline_seconds)  # type: ignore[attr-defined]
        call: UnaryCall = await continuation(details, with_request_id(request))
        return call


def with_request_id(request: Message) -> Message:
    """Returns a request with a request id; the same object if it has one or can have none.

    Args:
        request: The request.
    """
    field = request.DESCRIPTOR.fields_by_name.get(REQUEST_ID)
    if field is None or getattr(request, REQUEST_ID):
        return request
    completed = type(request)()
    completed.CopyFrom(request)
    setattr(completed, REQUEST_ID, str(uuid.uuid4()))
    return completed


def _options(settings: ClientSettings) -> tuple[tuple[str, int | str], ...]:
    """Returns gRPC's channel arguments of a client."""
    retry_policy = {
        "maxAttempts": settings.attempts,
        "initialBackoff": "0.2s",
        "maxBackoff": "3s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    service_config = {"methodConfig": [{"name": [{}], "retryPolicy": retry_policy}]}
    keepalive_ms = int(settings.keepalive_seconds * 1_000)
    return (
        ("grpc.service_config", json.dumps(service_config)),
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", settings.max_message_bytes),
        ("grpc.keepalive_time_ms", keepalive_ms),
        ("grpc.keepalive_timeout_ms", keepalive_ms),
        # gRPC's default waits up to two minutes before it connects again to a restarted server.
        ("grpc.max_reconnect_backoff_ms", 2_000),
        ("grpc.initial_reconnect_backoff_ms", 200),
        ("grpc.min_reconnect_backoff_ms", 2_000),
    )
