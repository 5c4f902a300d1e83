"""A slicer in front of another that predicts times too short: its machine is a quicker one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
from google.longrunning.operations_pb2 import Operation
from sliceandpack.slicer.v1 import models_pb2

_STREAMS = ("/Read", "/WatchOperation")
_OPERATIONS = ("/PredictFront", "/GetOperation", "/WaitOperation")

Call = grpc.aio.ServicerContext[bytes, bytes]


class _Forwarding(grpc.GenericRpcHandler):
    """Hands every call on, and changes what is predicted."""

    def __init__(self, channel: grpc.aio.Channel, factor: float) -> None:
        self._channel = channel
        self._factor = factor

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[Any, Any]:
        method = handler_call_details.method
        if method.endswith(_STREAMS):
            return grpc.unary_stream_rpc_method_handler(self._stream(method))
        return grpc.unary_unary_rpc_method_handler(self._call(method))

    def _call(self, method: str) -> Callable[[bytes, Call], Awaitable[bytes]]:
        ask: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(method)

        async def call(request: bytes, context: Call) -> bytes:
            try:
                answer = await ask(request, metadata=_metadata(context))
            except grpc.aio.AioRpcError as error:
                await context.abort(
                    error.code(), error.details() or "", tuple(error.trailing_metadata())
                )
            return self._hastened(answer) if method.endswith(_OPERATIONS) else answer

        return call

    def _stream(self, method: str) -> Callable[[bytes, Call], AsyncIterator[bytes]]:
        ask: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = self._channel.unary_stream(method)

        async def stream(request: bytes, context: Call) -> AsyncIterator[bytes]:
            try:
                async for answer in ask(request, metadata=_metadata(context)):
                    yield answer
            except grpc.aio.AioRpcError as error:
                await context.abort(
                    error.code(), error.details() or "", tuple(error.trailing_metadata())
                )

        return stream

    def _hastened(self, answer: bytes) -> bytes:
        operation, front = Operation.FromString(answer), models_pb2.PredictFrontResponse()
        if operation.response.Unpack(front):
            for point in front.points:
                point.latency_ms *= self._factor
            operation.response.Pack(front)
        changed: bytes = operation.SerializeToString()
        return changed


def _metadata(context: Call) -> tuple[tuple[str, Any], ...]:
    """What the caller sent beside the request, but for what the transport adds itself."""
    sent = tuple(context.invocation_metadata() or ())
    return tuple((key, value) for key, value in sent if key not in {"user-agent", "te"})


@asynccontextmanager
async def hasty_slicer(address: str, factor: float) -> AsyncIterator[str]:
    """Gives the address of a slicer that is another one but for its predictions of time.

    Args:
        address: Of the other one.
        factor: What its predictions are multiplied by.
    """
    async with grpc.aio.insecure_channel(address) as channel:
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((_Forwarding(channel, factor),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            await server.stop(grace=0)
