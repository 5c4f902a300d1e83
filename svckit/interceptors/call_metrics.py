"""The seconds of every call, by method and code, for Prometheus."""

import contextlib
import time
from collections.abc import AsyncIterator

import grpc

from svckit.interceptors.call import Call, CallInterceptor
from svckit.telemetry import Metrics


class CallMetricsInterceptor(CallInterceptor):
    """Observes ``sliceandpack_rpc_seconds``.

    Args:
        metrics: The server's metrics.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    @contextlib.asynccontextmanager
    async def around(self, call: Call) -> AsyncIterator[None]:
        """Takes the time of the whole call, for a stream until its end."""
        started = time.monotonic()
        failure: BaseException | None = None
        try:
            yield
        except BaseException as error:
            failure = error
            raise
        finally:
            code = call.code(failure)
            # A client can invent any number of methods, but may not make any number of series.
            method = "unknown" if code is grpc.StatusCode.UNIMPLEMENTED else call.method
            seconds = self._metrics.rpc_seconds.labels(method=method, code=code.name)
            seconds.observe(time.monotonic() - started)
