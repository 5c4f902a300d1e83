"""Keeps an embedded Triton running."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from serving.embedded.server import EmbeddedTriton
from serving.errors import TritonSetupError
from serving.pace import Backoff

_log = structlog.stdlib.get_logger(__name__)
_BACKOFF = Backoff(first=0.1, last=10.0)
_HEALTHY_SECONDS = 60.0


async def supervise(triton: EmbeddedTriton, on_restart: Callable[[], None]) -> None:
    """Starts Triton again whenever it ends; runs until cancelled.

    It never gives up: there is nothing else to do, and the waits between starts grow to
    `_BACKOFF.last`.

    Args:
        triton: A started Triton.
        on_restart: Called after each new start, when Triton is live and empty.
    """
    loop = asyncio.get_running_loop()
    failures = 0
    while True:
        started = loop.time()
        await triton.wait()
        if loop.time() - started > _HEALTHY_SECONDS:
            failures = 0
        _log.warning("triton_died")
        await triton.stop()
        failures = await _start_again(triton, failures)
        on_restart()


async def _start_again(triton: EmbeddedTriton, failures: int) -> int:
    """Tries until Triton is live; returns the number of failures in a row so far."""
    while True:
        failures += 1
        await asyncio.sleep(_BACKOFF.after(failures))
        try:
            await triton.start()
        except TritonSetupError as error:
            _log.warning("triton_start_failed", failures=failures, message=error.message)
        else:
            _log.info("triton_restarted", pid=triton.pid)
            return failures
