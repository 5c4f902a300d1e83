"""One JSON line per call: its id, method, code, reason and seconds."""

import contextlib
import logging
import time
import uuid
from collections.abc import AsyncIterator

import grpc
import structlog

from svckit.interceptors.call import Call, CallInterceptor

_log = structlog.stdlib.get_logger(__name__)

_FAULTS = frozenset({grpc.StatusCode.INTERNAL, grpc.StatusCode.DATA_LOSS, grpc.StatusCode.UNKNOWN})


def current_call_id() -> str:
    """Returns the id of the call that runs now; empty outside of one."""
    return str(structlog.contextvars.get_contextvars().get("call_id", ""))


class CallLogInterceptor(CallInterceptor):
    """Gives each call an id that every log line of it carries, and logs how it ended.

    A client's mistake is a line at INFO, a fault of the service one at ERROR; health probes are
    logged at DEBUG, since they come every few seconds.
    """

    @contextlib.asynccontextmanager
    async def around(self, call: Call) -> AsyncIterator[None]:
        """Binds the call id and logs the end."""
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(call_id=uuid.uuid4().hex, method=call.method)
        started = time.monotonic()
        failure: BaseException | None = None
        try:
            yield
        except BaseException as error:
            failure = error
            raise
        finally:
            code = call.code(failure)
            _log.log(
                _level(call.method, code),
                "call ended",
                code=code.name,
                seconds=round(time.monotonic() - started, 6),
            )


def _level(method: str, code: grpc.StatusCode) -> int:
    """Returns the severity of a call's end."""
    if code in _FAULTS:
        return logging.ERROR
    return logging.DEBUG if method.startswith("/grpc.health.") else logging.INFO
