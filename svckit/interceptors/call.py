"""A call of any of gRPC's four shapes, and interceptors as one context manager around it."""

import contextlib
from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import grpc
from google.protobuf.message import Message

Payload = Any
"""What a method takes or gives: a message, or an asynchronous iterator of messages."""

# The stubs have type arguments that the classes lack.
if TYPE_CHECKING:
    Context = grpc.aio.ServicerContext[Any, Any]
    Handler = grpc.RpcMethodHandler[Any, Any]
else:
    Context = grpc.aio.ServicerContext
    """gRPC's context of a call."""
    Handler = grpc.RpcMethodHandler
    """What gRPC keeps about one method."""

Behaviour = Callable[[Payload, Context], Any]
"""A servicer's method: it returns an awaitable or an asynchronous iterator."""

Continuation = Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]
"""Finds a method's handler, None for an unknown method."""


@dataclass(frozen=True)
class Call:
    """One call.

    Attributes:
        method: The full method, such as ``/sliceandpack.slicer.v1.Models/GetModel``.
        context: gRPC's context of the call.
        unary: Whether there is one request and one response.
    """

    method: str
    context: Context
    unary: bool

    def code(self, error: BaseException | None) -> grpc.StatusCode:
        """Returns the code that the call ended with.

        Args:
            error: What the call raised: gRPC's own ``AbortError`` leaves the code in the context,
                a cancellation means that the client is gone.
        """
        if error is None or isinstance(error, grpc.aio.AbortError):
            # Typed as a StatusCode, it is None or 0 where nobody set it.
            code: object = self.context.code()
            return code if isinstance(code, grpc.StatusCode) else grpc.StatusCode.OK
        return grpc.StatusCode.CANCELLED


class CallInterceptor(grpc.aio.ServerInterceptor):
    """An interceptor that does something around every call, whatever its shape."""

    @abstractmethod
    def around(self, call: Call) -> contextlib.AbstractAsyncContextManager[None]:
        """Returns what the call runs in.

        Args:
            call: The call that is about to start.
        """

    def receive(self, message: Message) -> None:
        """Looks at one message from the client, inside of `around`, before the service sees it."""

    async def intercept_service(
        self,
        continuation: Continuation,
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Wraps the method that was called; as gRPC calls it.

        Args:
            continuation: Finds the method's handler; it gives None for an unknown method.
            handler_call_details: The method's name and the client's metadata.
        """
        handler = await continuation(handler_call_details)
        return self.wrap(handler, handler_call_details.method) if handler else handler

    def wrap(self, handler: Handler, method: str) -> Handler:
        """Returns a handler of the same shape that runs inside of `around`.

        Args:
            handler: The handler to wrap.
            method: The full method.
        """
        behaviour = behaviour_of(handler)
        unary = not handler.request_streaming and not handler.response_streaming

        async def respond_once(request: Payload, context: Context) -> Payload:
            async with self.around(Call(method, context, unary)):
                return await behaviour(self._received(handler, request), context)

        async def respond_many(request: Payload, context: Context) -> AsyncGenerator[Payload, None]:
            async with self.around(Call(method, context, unary)):
                received = self._received(handler, request)
                async with contextlib.aclosing(responses(behaviour, received, context)) as answers:
                    async for answer in answers:
                        yield answer

        return rebuilt(handler, respond_many if handler.response_streaming else respond_once)

    def _received(self, handler: Handler, request: Payload) -> Payload:
        """Returns the request, or the stream of requests, that `receive` has looked at."""
        if handler.request_streaming:
            return self._received_stream(request)
        self.receive(request)
        return request

    async def _received_stream(self, requests: AsyncIterator[Message]) -> AsyncIterator[Message]:
        async for message in requests:
            self.receive(message)
            yield message


def behaviour_of(handler: Handler) -> Behaviour:
    """Returns a handler's function, whichever of the four it is."""
    # The stubs type them as a synchronous server's.
    return cast(
        Behaviour,
        handler.unary_unary
        or handler.unary_stream
        or handler.stream_unary
        or handler.stream_stream,
    )


async def responses(
    behaviour: Behaviour, request: Payload, context: Context
) -> AsyncGenerator[Payload, None]:
    """Yields the responses of a streaming method.

    Args:
        behaviour: An asynchronous generator, or a coroutine that writes to the context itself.
        request: The request, or the stream of requests.
        context: gRPC's context of the call.
    """
    answer = behaviour(request, context)
    if hasattr(answer, "__aiter__"):
        async with contextlib.aclosing(answer) as answers:
            async for response in answers:
                yield response
    else:
        await answer


def rebuilt(handler: Handler, behaviour: Behaviour) -> Handler:
    """Returns a handler with the same shape and serialisers and another function."""
    builders = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }
    build: Callable[..., Handler] = builders[handler.request_streaming, handler.response_streaming]
    return build(
        behaviour,
        request_deserializer=handler.request_deserializer,
        response_serializer=handler.response_serializer,
    )
