"""Serves metrics and readiness over HTTP, without a thread of its own.

Readiness is here for whoever cannot ask over gRPC: Kubernetes' own gRPC probe knows no TLS.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from svckit.addresses import Address

_REQUEST_SECONDS: Final = 5.0
_REQUEST_BYTES: Final = 16 * 1024
_CLIENT_FAULTS: Final = (
    TimeoutError,
    ConnectionError,
    asyncio.IncompleteReadError,
    asyncio.LimitOverrunError,
)


@contextlib.asynccontextmanager
async def metrics_endpoint(
    registry: CollectorRegistry, address: Address, ready: Callable[[], bool]
) -> AsyncIterator[Address]:
    """Answers ``GET /metrics`` and ``GET /ready`` while it is open.

    Args:
        registry: What is shown.
        address: Where to listen; port 0 takes a free one.
        ready: Whether the server is SERVING; ``/ready`` is 200 then, else 503.

    Yields:
        The bound address.

    Raises:
        OSError: The address cannot be bound.
    """

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A client that dawdles, sends too much or leaves gets no answer, and that is all.
        with contextlib.closing(writer), contextlib.suppress(*_CLIENT_FAULTS):
            async with asyncio.timeout(_REQUEST_SECONDS):
                request = await reader.readuntil(b"\r\n\r\n")
                writer.write(_response(request, registry, ready))
                await writer.drain()

    server = await asyncio.start_server(
        answer, address.host, address.port, limit=_REQUEST_BYTES, reuse_address=True
    )
    try:
        yield Address(address.host, server.sockets[0].getsockname()[1])
    finally:
        server.close()


def _response(request: bytes, registry: CollectorRegistry, ready: Callable[[], bool]) -> bytes:
    """Returns the whole HTTP response to a request."""
    method, _, rest = request.partition(b" ")
    path = rest.partition(b" ")[0].partition(b"?")[0]
    if method == b"GET" and path == b"/ready":
        return _empty(b"200 OK" if ready() else b"503 Service Unavailable")
    if method != b"GET" or path != b"/metrics":
        return _empty(b"404 Not Found")
    body = generate_latest(registry)
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: {CONTENT_TYPE_LATEST}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


def _empty(status: bytes) -> bytes:
    return b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
