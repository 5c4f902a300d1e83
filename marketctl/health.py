"""Asks a server whether it serves."""

from __future__ import annotations

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

_SECONDS = 2.0


async def is_serving(address: str) -> bool:
    """Whether a server on this machine answers and is SERVING.

    Args:
        address: ``host:port`` of a server without TLS.
    """
    async with grpc.aio.insecure_channel(address) as channel:
        return await channel_is_serving(channel)


async def channel_is_serving(channel: grpc.aio.Channel) -> bool:
    """Whether the server behind a channel answers and is SERVING.

    Args:
        channel: The channel.
    """
    stub = health_pb2_grpc.HealthStub(channel)
    try:
        answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=_SECONDS)
    except grpc.aio.AioRpcError:
        return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
