"""Turns what a method raised into a status with a reason; the one place where that is done."""

import contextlib
from collections.abc import AsyncIterator

import grpc
import structlog
from sliceandpack.error.v1 import error_reason_pb2 as pb

from svckit.errors import DataLoss, Internal, Unimplemented, from_exception
from svckit.interceptors.call import Call, CallInterceptor, Context, Continuation, Handler, Payload
from svckit.interceptors.call_log import current_call_id
from svckit.status import to_trailers

_log = structlog.stdlib.get_logger(__name__)


class ErrorInterceptor(CallInterceptor):
    """Ends a failed call with its canonical code and ``google.rpc.Status``.

    Anything that is neither a `ServiceError` nor a domain error becomes INTERNAL with a fixed text
    and the call id; the traceback goes to the log alone.
    """

    @contextlib.asynccontextmanager
    async def around(self, call: Call) -> AsyncIterator[None]:
        """Maps exceptions; gRPC's own abort and cancellation are raised on."""
        try:
            yield
        except grpc.aio.AbortError:
            raise
        except Exception as error:
            failure = from_exception(error, current_call_id())
            if isinstance(error, NotImplementedError) and _is_generated_refusal(call):
                failure = _unimplemented(call.method)
            structlog.contextvars.bind_contextvars(reason=failure.reason_name)
            if isinstance(failure, Internal | DataLoss):
                _log.exception("call failed unexpectedly")
            await call.context.abort(failure.code, failure.message, to_trailers(failure))

    async def intercept_service(
        self,
        continuation: Continuation,
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """Wraps the method; an unknown one gets METHOD_NOT_FOUND instead of a bare code."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        return self.wrap(handler or _unknown_method(method), method)


def _is_generated_refusal(call: Call) -> bool:
    """Whether the contract has the method, but the servicer leaves it to the generated base."""
    return call.code(None) is grpc.StatusCode.UNIMPLEMENTED


def _unknown_method(method: str) -> Handler:
    """Returns a handler that refuses, whatever shape the client thinks that the method has."""

    async def refuse(_requests: Payload, _context: Context) -> None:
        raise _unimplemented(method)

    return grpc.stream_stream_rpc_method_handler(refuse)


def _unimplemented(method: str) -> Unimplemented:
    return Unimplemented(
        pb.ERROR_REASON_METHOD_NOT_FOUND,
        f"This server has no method {method}.",
        advice="Ask its reflection service which methods there are.",
    )
