"""Serves health alone on an address of its own.

A kubelet's gRPC probes know no TLS. They also have to be answered while the server itself turns
calls away because it has too many: a server that is only busy must not be restarted.
"""

import contextlib
from collections.abc import AsyncIterator

import grpc
from grpc_health.v1 import health_pb2_grpc

from svckit.addresses import Address
from svckit.health import HealthServicer
from svckit.server import StartupError


@contextlib.asynccontextmanager
async def health_endpoint(health: HealthServicer, address: Address) -> AsyncIterator[Address]:
    """Answers ``grpc.health.v1`` in plain text while it is open.

    Args:
        health: The health of the process's server.
        address: Where to listen; port 0 takes a free one.

    Yields:
        The bound address.

    Raises:
        StartupError: The address cannot be bound.
    """
    server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    try:
        port = server.add_insecure_port(str(address))
    except RuntimeError as error:
        raise StartupError(
            f"Cannot serve health on {address}: set another health_address."
        ) from error
    await server.start()
    try:
        yield Address(address.host, port)
    finally:
        await server.stop(None)
