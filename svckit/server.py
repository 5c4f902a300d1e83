"""Builds and binds a gRPC server: interceptors, limits, keepalive, TLS, health, reflection."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from svckit.addresses import Address
from svckit.health import HealthServicer, Readiness
from svckit.interceptors.call_log import CallLogInterceptor
from svckit.interceptors.call_metrics import CallMetricsInterceptor
from svckit.interceptors.deadline import DeadlineInterceptor
from svckit.interceptors.errors import ErrorInterceptor
from svckit.interceptors.in_flight import InFlightInterceptor
from svckit.interceptors.required_fields import RequiredFieldsInterceptor
from svckit.interceptors.stopping import StoppingInterceptor
from svckit.settings import ServerSettings
from svckit.telemetry import Metrics

_HEALTH: Final = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name


class StartupError(Exception):
    """The process cannot start; the message says why and what to do about it."""


@dataclass(frozen=True)
class Service:
    """One service of a server.

    Attributes:
        descriptor: The service's descriptor, such as
            ``models_pb2.DESCRIPTOR.services_by_name["Models"]``.
        add: Adds the servicer, such as ``partial(add_ModelsServicer_to_server, servicer)``.
    """

    descriptor: ServiceDescriptor
    add: Callable[[grpc.aio.Server], None]


@dataclass(frozen=True)
class BoundServer:
    """A server that holds its address but answers nothing yet.

    Attributes:
        grpc: The server.
        address: Where it listens.
        stopping: Ends its watches when it stops.
        in_flight: Knows when its last call has ended.
    """

    grpc: grpc.aio.Server
    address: Address
    stopping: StoppingInterceptor
    in_flight: InFlightInterceptor


def bind(settings: ServerSettings, metrics: Metrics) -> BoundServer:
    """Builds a server and takes its address, so that a second process fails before it does harm.

    Args:
        settings: The server's settings.
        metrics: Where calls are observed.

    Raises:
        StartupError: The address is in use, or a TLS file cannot be read.
    """
    stopping = StoppingInterceptor()
    in_flight = InFlightInterceptor()
    server = grpc.aio.server(
        interceptors=(
            in_flight,
            CallLogInterceptor(),
            CallMetricsInterceptor(metrics),
            ErrorInterceptor(),
            stopping,
            DeadlineInterceptor(settings.default_deadline_seconds, settings.max_deadline_seconds),
            RequiredFieldsInterceptor(),
        ),
        options=_options(settings),
        maximum_concurrent_rpcs=settings.max_concurrent_rpcs,
    )
    address = Address.parse(settings.address)
    credentials = _credentials(settings)
    try:
        if credentials is None:
            port = server.add_insecure_port(str(address))
        else:
            port = server.add_secure_port(str(address), credentials)
    except RuntimeError as error:
        raise StartupError(
            f"Cannot listen on {address}: stop what listens there or set another address."
        ) from error
    return BoundServer(server, Address(address.host, port), stopping, in_flight)


def register(
    server: grpc.aio.Server, services: Iterable[Service], readiness: Readiness | None = None
) -> HealthServicer:
    """Adds services to a server, with health (NOT_SERVING) and reflection of all of them.

    Args:
        server: A server that was not started yet.
        services: The services.
        readiness: What the process itself says of its fitness.

    Returns:
        The health of the server.
    """
    names = []
    for service in services:
        service.add(server)
        names.append(service.descriptor.full_name)
    health = HealthServicer([*names, _HEALTH, reflection.SERVICE_NAME], readiness)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    reflection.enable_server_reflection((*names, _HEALTH, reflection.SERVICE_NAME), server)
    return health


def _options(settings: ServerSettings) -> tuple[tuple[str, int], ...]:
    """Returns gRPC's channel arguments of the server."""
    keepalive_ms = int(settings.keepalive_seconds * 1_000)
    return (
        # Without this two servers would share one port and half of the calls would go astray.
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", settings.max_message_bytes),
        ("grpc.keepalive_time_ms", keepalive_ms),
        ("grpc.keepalive_timeout_ms", keepalive_ms),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", keepalive_ms // 2),
    )


def _credentials(settings: ServerSettings) -> grpc.ServerCredentials | None:
    """Returns the TLS credentials, None without TLS.

    Raises:
        StartupError: A file cannot be read.
    """
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    try:
        key = settings.tls_key.read_bytes()
        chain = settings.tls_certificate.read_bytes()
        authorities = settings.tls_client_ca.read_bytes() if settings.tls_client_ca else None
    except OSError as error:
        raise StartupError(
            f"Cannot read the TLS file {error.filename}: {error.strerror}. Check the tls_ settings."
        ) from error
    return grpc.ssl_server_credentials(
        [(key, chain)],
        root_certificates=authorities,
        require_client_auth=authorities is not None,
    )
